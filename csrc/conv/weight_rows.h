// The weight gradient where the taps of a kernel row fill few lanes: vectors run along the rows of positions, of dy and
// of the source as they lie, and are added up across the lanes at the end.
#pragma once

#include "plane.h"
#include "weight.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

inline constexpr int taps_at_once = 2;

// Keeps a vector in its register: GCC would load it from memory again for every use.
template <typename T> DLCORE_INLINE void hold([[maybe_unused]] Vec<T>& v) {
#if defined(__x86_64__)
  asm("" : "+v"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
}

// sums[i stride + t] += over `height` rows of n positions of dy[i] times the source at x[t], by lane. n >= lanes.
template <typename T, int rows>
__attribute__((noinline, aligned(64))) void row_tile(Index height, Index n, const T* dy, Index dy_channel,
                                                     const T* const* x, Index x_row, T* sums, Index stride) {
  constexpr int taps = taps_at_once;
  const Index rest = n % lanes<T>;
  Vec<T> sum[rows][taps] = {};
  const auto add = [&](Index row, Index j, const auto& whole) __attribute__((always_inline)) {
    const T* element = dy + row * n + j;
    Vec<T> column[taps];
#pragma GCC unroll 16
    for (int t = 0; t < taps; ++t) column[t] = whole(load(x[t] + row * x_row + j));
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
      Vec<T> share = whole(load(element + i * dy_channel));
      hold<T>(share);
#pragma GCC unroll 16
      for (int t = 0; t < taps; ++t) sum[i][t] += share * column[t];
    }
  };
  for (Index row = 0; row < height; ++row)
    for (Index j = 0; j + lanes<T> <= n; j += lanes<T>) add(row, j, [](Vec<T> v) { return v; });
  if (rest > 0) {          // on its own: the loop above leaves no register for a mask
    T is_fresh[lanes<T>];  // in the last vector, which overlaps the one before
    for (int lane = 0; lane < lanes<T>; ++lane) is_fresh[lane] = lane >= lanes<T> - rest;
    const auto fresh = load(is_fresh) != Vec<T>{};
    for (Index row = 0; row < height; ++row) add(row, n - lanes<T>, [=](Vec<T> v) { return fresh ? v : Vec<T>{}; });
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 16
    for (int t = 0; t < taps; ++t) {
      T* to = sums + (i * stride + t) * lanes<T>;
      store(to, load(to) + sum[i][t]);
    }
}

template <typename T> using RowTile = void (*)(Index, Index, const T*, Index, const T* const*, Index, T*, Index);

template <typename T, int rows> RowTile<T> choose_row_tile(Index wanted) {
  if (wanted == rows) return row_tile<T, rows>;
  if constexpr (rows > 1) return choose_row_tile<T, rows - 1>(wanted);
  return nullptr;
}

template <typename T> class RowWeightGrad {
 public:
  RowWeightGrad(const ConvShape& shape, const T* x, const T* dy, T* dweight)
      : s_(shape),
        x_(x),
        dy_(dy),
        dweight_(dweight),
        channels_(shape.in_channels / shape.groups),
        rows_(shape.out_channels / shape.groups),
        depth_(channels_ * shape.kernel_height * shape.kernel_width),
        stride_(round_up(depth_, taps_at_once)),
        vertical_(forward_axis(shape.in_height, shape.kernel_height, shape.stride_height, shape.padding_height,
                               shape.dilation_height, shape.out_height())),
        horizontal_(forward_axis(shape.in_width, shape.kernel_width, shape.stride_width, shape.padding_width,
                                 shape.dilation_width, shape.out_width())),
        layout_(make_layout<T>(vertical_, horizontal_, channels_, gradient_limit, true)),
        offsets_(stride_) {
    tap_offsets(layout_, vertical_, horizontal_, offsets_.data());
    if (depth_ < stride_) offsets_.data()[depth_] = offsets_.data()[depth_ - 1];  // its sums are dropped
  }

  // Whether this takes fewer cycles than WeightGrad, whose vectors hold the taps of a kernel row in all channels.
  static bool is_preferred(const ConvShape& s) {
    const Index channels = s.in_channels / s.groups, n = s.out_width(), height = s.kernel_height;
    if (n < lanes<T>) return false;
    const Index run_taps = s.dilation_width == 1 ? s.kernel_width : 1, runs = height * s.kernel_width / run_taps;
    const Index by_taps = n * round_up(runs * ceil_div(run_taps * channels, lanes<T>), 2);
    const Index by_rows = ceil_div(n, lanes<T>) * round_up(channels * height * s.kernel_width, taps_at_once);
    return 10 * by_rows <= 9 * by_taps;
  }

  void run() const {
    const Index size = s_.out_channels * stride_ * lanes<T>, work = s_.batch * out_size() * s_.out_channels * depth_;
    const Index slabs =
        std::clamp<Index>(std::min(work / slab_grain, slab_limit / size), 1, std::min(max_slabs, s_.batch));
    const Index items = slabs * s_.groups,
                grain = std::max<Index>(1, multiply_grain / std::max<Index>(1, work / items));
    const Index planes = round_up(prepared_size(layout_, vertical_, horizontal_), 64);
    const Team team(items, grain, work);
    const Buffer<T> space(team.workers() * planes), sums(slabs * size);
    team.run([&](Index begin, Index end, int worker) {
      for (Index item = begin; item < end; ++item) {
        const Index slab = item / s_.groups, group = item % s_.groups;
        T* to = sums.data() + slab * size + group * rows_ * stride_ * lanes<T>;
        std::fill_n(to, rows_ * stride_ * lanes<T>, T{0});
        for (Index image = s_.batch * slab / slabs; image < s_.batch * (slab + 1) / slabs; ++image)
          for (Index first = 0; first < s_.out_height(); first += layout_.rows)
            add_strip(image, group, first, space.data() + worker * planes, to);
      }
    });
    finish(sums.data(), slabs, size);
  }

 private:
  Index out_size() const { return s_.out_height() * s_.out_width(); }

  void add_strip(Index image, Index group, Index first, T* space, T* sums) const {
    const Index height = std::min(layout_.rows, s_.out_height() - first);
    const T* planes = prepare_planes(layout_, vertical_, horizontal_,
                                     x_ + (image * s_.in_channels + group * channels_) * s_.in_height * s_.in_width,
                                     first, height, space);
    const T* dy = dy_ + (image * s_.out_channels + group * rows_) * out_size() + first * s_.out_width();
    const Index panels = ceil_div(rows_, MR<T>);
    for (Index p = 0; p < panels; ++p) {
      const Index channel = rows_ * p / panels, next = rows_ * (p + 1) / panels;
      const RowTile<T> tile = choose_row_tile<T, MR<T>>(next - channel);
      for (Index tap = 0; tap < stride_; tap += taps_at_once) {
        const T* x[taps_at_once];
        for (int t = 0; t < taps_at_once; ++t) x[t] = planes + offsets_.data()[tap + t];
        tile(height, s_.out_width(), dy + channel * out_size(), out_size(), x, layout_.width,
             sums + (channel * stride_ + tap) * lanes<T>, stride_);
      }
    }
  }

  // Adds the slabs in order, then the lanes.
  void finish(const T* sums, Index slabs, Index size) const {
    const Index grain = std::max<Index>(1, elementwise_grain / (slabs * stride_ * lanes<T>));
    parallel_for(s_.out_channels, grain, [&](Index begin, Index end) {
      for (Index channel = begin; channel < end; ++channel)
        for (Index tap = 0; tap < depth_; ++tap) {
          const T* from = sums + (channel * stride_ + tap) * lanes<T>;
          Vec<T> sum = load(from);
          for (Index slab = 1; slab < slabs; ++slab) sum += load(from + slab * size);
          dweight_[channel * depth_ + tap] = horizontal_sum<T>(sum);
        }
    });
  }

  ConvShape s_;
  const T* x_;
  const T* dy_;
  T* dweight_;
  Index channels_, rows_, depth_, stride_;  // per group; stride_: taps of one output channel, with a spare one
  Axis vertical_, horizontal_;
  Layout layout_;
  Buffer<Index> offsets_;
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
