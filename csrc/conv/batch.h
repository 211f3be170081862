// The products of a convolution and of its input gradient for small images: vectors run over the images of the batch.
// No position is computed in vain, and no product with padding; the price is a transpose of source and target.
#pragma once

#include "correlate.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <typename T> inline constexpr Index image_lanes = 2 * lanes<T>;
// Elements of source and of unfinished outputs that a worker holds at a time.
inline constexpr Index batch_source_limit = 49152, batch_sum_limit = 32768;
// Depth of one pass: its part of the source, image_lanes wide, stays in half of the L1 cache.
template <typename T> inline constexpr Index batch_depth = 16384 / sizeof(T) / image_lanes<T>;

// Weights p, p + 1, ... times consecutive rows of image_lanes elements from `source` on.
template <typename T> struct Run {
  Index p;
  const T* source;
  Index depth;
};

template <typename T, int rows>
__attribute__((noinline, aligned(64))) void run_tile(Index runs, const Run<T>* run, const T* weights, T* target,
                                                     Index stride, bool add) {
  Vec<T> sum[rows][2] = {};
  for (; runs > 0; --runs, ++run) {
    const T* a = weights + run->p * MR<T>;
    const T* b = run->source;
#pragma GCC unroll 2
    for (Index p = run->depth; p > 0; --p, a += MR<T>, b += image_lanes<T>) {
      const Vec<T> left = load(b), right = load(b + lanes<T>);
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i) {
        const Vec<T> element = splat(a[i]);
        sum[i][0] += element * left;
        sum[i][1] += element * right;
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i, target += stride) {
    store(target, add ? load(target) + sum[i][0] : sum[i][0]);
    store(target + lanes<T>, add ? load(target + lanes<T>) + sum[i][1] : sum[i][1]);
  }
}

template <typename T> using RunTile = void (*)(Index, const Run<T>*, const T*, T*, Index, bool);

template <typename T, int rows> RunTile<T> choose_run_tile(Index wanted) {
  if (wanted == rows) return run_tile<T, rows>;
  if constexpr (rows > 1) return choose_run_tile<T, rows - 1>(wanted);
  return nullptr;
}

// The taps of output o whose source element exists.
struct TapRange {
  Index begin, end;
};
inline TapRange taps_of(const Axis& axis, Index o) {
  TapRange range{0, axis.taps};
  const auto at = [&](Index t) { return axis.source(axis.tap.data()[t]) + o * axis.source_step; };
  while (range.begin < range.end && at(range.begin) < 0) ++range.begin;
  while (range.end > range.begin && at(range.end - 1) >= axis.source_size) --range.end;
  return range;
}

template <typename T> class BatchCorrelator {
 public:
  // weights: in the order tap_channel
  BatchCorrelator(const Correlation<T>& correlation, const PackedWeights<T>& weights)
      : c_(correlation), weights_(weights), epilogue_(c_.epilogue) {
    const Index columns = c_.horizontal.outputs;
    horizontal_ = Buffer<TapRange>(columns);
    for (Index o = 0; o < columns; ++o) horizontal_.data()[o] = taps_of(c_.horizontal, o);
    contiguous_ = true;
    for (Index t = 1; t < c_.horizontal.taps; ++t)
      contiguous_ &= source(c_.horizontal, t) == source(c_.horizontal, t - 1) + 1;
    rows_ = strip_rows(c_);
    strips_ = ceil_div(c_.vertical.outputs, rows_);
    rows_ = ceil_div(c_.vertical.outputs, strips_);
    max_runs_ = std::max<Index>(1, c_.vertical.taps * (contiguous_ ? 1 : c_.horizontal.taps)) +
                ceil_div(c_.depth(), batch_depth<T>);
    for (int i = 0; i < 2; ++i) tile_[i] = choose_run_tile<T, MR<T>>(weights_.rows(i == 0 ? 0 : weights_.panels - 1));
  }

  // Output rows of a strip, at most.
  static Index strip_rows(const Correlation<T>& c) {
    const Index row_source = c.channels * c.horizontal.source_size * image_lanes<T>;
    const Index row_sums = c.rows * c.horizontal.outputs * image_lanes<T>;
    const Index rows_read = batch_source_limit / std::max<Index>(1, row_source);
    const Index by_source = (rows_read - span(c) - 1) / c.vertical.source_step + 1;
    return std::clamp<Index>(std::min(by_source, batch_sum_limit / row_sums), 1, c.vertical.outputs);
  }
  // Source elements of all strips of an image; rows that two of them read count twice.
  static Index source_moved(const Correlation<T>& c) {
    const Index strips = ceil_div(c.vertical.outputs, strip_rows(c));
    const Index rows = std::min(strips * c.vertical.source_size, c.vertical.source_size + (strips - 1) * span(c));
    return c.groups * c.channels * rows * c.horizontal.source_size;
  }

  void run() const {
    const Index image_groups = ceil_div(c_.batch, image_lanes<T>), items = image_groups * c_.groups * strips_;
    const Index work = c_.rows * c_.depth() * rows_ * c_.horizontal.outputs * image_lanes<T>;
    const Index grain = std::max<Index>(1, multiply_grain / std::max<Index>(1, work));
    const Index most_rows = std::min(c_.vertical.source_size, (rows_ - 1) * c_.vertical.source_step + span(c_) + 1);
    const Index source_size = most_rows * c_.horizontal.source_size * c_.channels * image_lanes<T>;
    const Index sums_size = c_.rows * sum_stride();
    const Team team(items, grain, work);
    const Buffer<T> space(team.workers() * (source_size + sums_size));
    const Buffer<Run<T>> runs(team.workers() * max_runs_);
    team.run([&](Index begin, Index end, int worker) {
      T* mine = space.data() + worker * (source_size + sums_size);
      for (Index item = begin; item < end; ++item) {
        const Index group = item / strips_ % c_.groups, image = item / strips_ / c_.groups * image_lanes<T>;
        const Index first = item % strips_ * rows_;
        compute_strip(image, group, first, std::min(rows_, c_.vertical.outputs - first), mine, mine + source_size,
                      runs.data() + worker * max_runs_);
      }
    });
  }

 private:
  static Index source(const Axis& axis, Index tap) { return axis.source(axis.tap.data()[tap]); }
  // From the first to the last source row of one output.
  static Index span(const Correlation<T>& c) {
    return c.vertical.taps > 0 ? source(c.vertical, c.vertical.taps - 1) - source(c.vertical, 0) : 0;
  }
  Index sum_stride() const { return rows_ * c_.horizontal.outputs * image_lanes<T>; }

  void compute_strip(Index image, Index group, Index first, Index rows, T* planes, T* sums, Run<T>* runs) const {
    const Index count = std::min(image_lanes<T>, c_.batch - image);
    const Index width = c_.horizontal.source_size, plane = c_.vertical.source_size * width;
    const Index pixel = c_.channels * image_lanes<T>;  // elements of one position of the planes
    const Index origin = c_.vertical.taps > 0 ? source(c_.vertical, 0) + first * c_.vertical.source_step : 0;
    const Index low = std::clamp<Index>(origin, 0, c_.vertical.source_size);
    const Index high =
        std::clamp<Index>(origin + (rows - 1) * c_.vertical.source_step + span(c_) + 1, low, c_.vertical.source_size);
    if (count < image_lanes<T>) std::fill_n(planes, (high - low) * width * pixel, T{0});
    for (Index channel = 0; channel < c_.channels; ++channel) {
      const T* from = c_.source + ((image * c_.groups + group) * c_.channels + channel) * plane + low * width;
      transpose<false>(count, (high - low) * width, from, c_.groups * c_.channels * plane,
                       planes + channel * image_lanes<T>, pixel);
    }
    for (Index i = 0; i < rows; ++i) {
      const TapRange vertical = taps_of(c_.vertical, first + i);
      for (Index j = 0; j < c_.horizontal.outputs; ++j) {
        const TapRange horizontal = horizontal_.data()[j];
        T* target = sums + (i * c_.horizontal.outputs + j) * image_lanes<T>;
        Index waiting = 0, depth = 0;
        bool add = false;
        const auto flush = [&] {
          for (Index p = 0; p < weights_.panels; ++p)
            tile_[p >= weights_.higher](waiting, runs, weights_.panel(group, p),
                                        target + weights_.begin(p) * sum_stride(), sum_stride(), add);
          add = true;
          waiting = depth = 0;
        };
        const auto multiply = [&](Index v, Index h, Index taps) {
          const Index row = source(c_.vertical, v) + (first + i) * c_.vertical.source_step - low;
          const Index column = source(c_.horizontal, h) + j * c_.horizontal.source_step;
          Run<T> run{(v * c_.horizontal.taps + h) * c_.channels, planes + (row * width + column) * pixel,
                     taps * c_.channels};
          while (depth + run.depth > batch_depth<T>) {
            const Index part = batch_depth<T> - depth;
            runs[waiting++] = {run.p, run.source, part};
            run = {run.p + part, run.source + part * image_lanes<T>, run.depth - part};
            flush();
          }
          runs[waiting++] = run;
          depth += run.depth;
        };
        for (Index v = vertical.begin; v < vertical.end; ++v) {
          if (contiguous_ && horizontal.begin < horizontal.end)
            multiply(v, horizontal.begin, horizontal.end - horizontal.begin);
          else
            for (Index h = horizontal.begin; h < horizontal.end; ++h) multiply(v, h, 1);
        }
        if (waiting > 0 || !add) flush();
      }
    }
    finish_strip(image, count, group, first, rows, sums);
  }

  void finish_strip(Index image, Index count, Index group, Index first, Index rows, T* sums) const {
    const Index columns = c_.horizontal.outputs, plane = c_.target_height * c_.target_width;
    const Index image_stride = c_.groups * c_.rows * plane;
    for (Index r = 0; r < c_.rows; ++r) {
      T* from = sums + r * sum_stride();
      T* to = c_.target + ((image * c_.groups + group) * c_.rows + r) * plane;
      if (c_.is_dense()) {
        const T bias = c_.epilogue.bias ? c_.epilogue.bias[group * c_.rows + r] : T(0);
        epilogue_.finish(rows * columns, count, from, image_lanes<T>, to + first * columns, image_stride, splat(bias));
      } else {  // of the input gradient alone: neither bias nor activation
        for (Index i = 0; i < rows; ++i)
          for (Index j = 0; j < columns; ++j, from += image_lanes<T>)
            for (Index n = 0; n < count; ++n) to[n * image_stride + c_.target_at(first + i, j)] = from[n];
      }
    }
  }

  const Correlation<T>& c_;
  const PackedWeights<T>& weights_;
  Buffer<TapRange> horizontal_;
  bool contiguous_;  // horizontal taps read neighbours
  Index rows_, strips_, max_runs_;
  RunTile<T> tile_[2];  // of the higher panels, and of the others
  TransposedEpilogue<T> epilogue_;
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
