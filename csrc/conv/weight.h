// The weight gradient: a product over positions, of dy with the source at each tap. With channels innermost,
// neighbouring horizontal taps are one run of memory, so that its columns are read where they lie and nothing is
// computed in vain.
#pragma once

#include "pack.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Elements of the source, and of dy, that a worker holds at a time: together about half of a 512 KiB L2 cache.
inline constexpr Index gradient_limit = 32768;
inline constexpr Index gradient_positions = 512;  // enough to make storing a tile of sums cheap
inline constexpr Index gradient_rows = 8;         // panels of output channels of one work item
inline constexpr Index max_slabs = 16;            // of images, summed on their own
inline constexpr Index slab_limit = 4'000'000;    // elements of all slabs' sums
inline constexpr Index slab_grain = 1'000'000;    // multiply-adds worth a slab
inline constexpr Index slab_positions = 64;       // worth adding its sums once more

// What a tile is summed over: `units` (images, or one strip of one) of `height` rows of `width` positions.
template <typename T> struct Positions {
  Index units, height, width;
  Index dy_unit, dy_position;     // from one to the next, in dy
  Index x_unit, x_row, x_column;  // from a position to the next, in the source
};

// sums[i stride + j lanes] += over positions of dy[i] times the vector at columns[j].
template <typename T, int rows, int vectors>
__attribute__((noinline, aligned(64))) void gradient_tile(const Positions<T>& at, const T* dy, const T* const* columns,
                                                          T* sums, Index stride) {
  Vec<T> sum[rows][vectors] = {};
  for (Index unit = 0; unit < at.units; ++unit) {
    const T* a = dy + unit * at.dy_unit;
    for (Index row = 0; row < at.height; ++row) {
      const T* x[vectors];
      for (int j = 0; j < vectors; ++j) x[j] = columns[j] + unit * at.x_unit + row * at.x_row;
#pragma GCC unroll 2
      for (Index p = 0; p < at.width; ++p, a += at.dy_position) {
        Vec<T> column[vectors];
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) column[j] = load(x[j] + p * at.x_column);
#pragma GCC unroll 16
        for (int i = 0; i < rows; ++i) {
          const Vec<T> element = splat(a[i]);
#pragma GCC unroll 16
          for (int j = 0; j < vectors; ++j) sum[i][j] += element * column[j];
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i, sums += stride)
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) store(sums + j * lanes<T>, load(sums + j * lanes<T>) + sum[i][j]);
}

template <typename T> using GradientTile = void (*)(const Positions<T>&, const T*, const T* const*, T*, Index);

template <typename T, int vectors, int rows> GradientTile<T> choose_gradient_tile(Index wanted) {
  if (wanted == rows) return gradient_tile<T, rows, vectors>;
  if constexpr (rows > 1) return choose_gradient_tile<T, vectors, rows - 1>(wanted);
  return nullptr;
}

template <typename T> class WeightGrad {
 public:
  WeightGrad(const ConvShape& shape, const T* x, const T* dy, T* dweight)
      : s_(shape),
        x_(x),
        dy_(dy),
        dweight_(dweight),
        channels_(shape.in_channels / shape.groups),
        rows_(shape.out_channels / shape.groups),
        columns_(shape.out_width()),
        padded_width_((columns_ - 1) * shape.stride_width + (shape.kernel_width - 1) * shape.dilation_width + 1) {
    // Taps of a kernel row are one run of columns unless dilation parts them.
    run_taps_ = s_.dilation_width == 1 ? s_.kernel_width : 1;
    runs_ = s_.kernel_height * (s_.kernel_width / run_taps_);
    run_vectors_ = ceil_div(run_taps_ * channels_, lanes<T>);
    vectors_ = runs_ * run_vectors_;
    row_ = round_up(vectors_, 4) * lanes<T>;
    offsets_ = Buffer<Index>(row_ / lanes<T>);
    for (Index v = 0; v < row_ / lanes<T>; ++v) {
      const Index used = std::min(v, vectors_ - 1);
      const Index run = used / run_vectors_, within = used % run_vectors_ * lanes<T>;
      const Index vertical = run * run_taps_ / s_.kernel_width, horizontal = run * run_taps_ % s_.kernel_width;
      offsets_.data()[v] =
          (vertical * s_.dilation_height * padded_width_ + horizontal * s_.dilation_width) * channels_ + within;
    }
    const Index out_height = s_.out_height();
    const Index by_x = gradient_limit / (padded_width_ * channels_) - padded_rows(1), step = s_.stride_height;
    const Index by_dy = gradient_limit / (columns_ * round_up(std::min(rows_, row_block()), MR<T>));
    strip_ = std::clamp<Index>(std::min(by_x / step + 1, by_dy), 1, out_height);
    strips_ = ceil_div(out_height, strip_);
    strip_ = ceil_div(out_height, strips_);
  }

  void run() const {
    const Index size = s_.out_channels * row_, images = s_.batch * strips_;
    const Index work = s_.batch * s_.out_height() * columns_ * size;
    const Index slabs = std::clamp<Index>(
        std::min({work / slab_grain, work / size / slab_positions, slab_limit / size}), 1, std::min(max_slabs, images));
    const Index row_blocks = ceil_div(rows_, row_block()), items = slabs * s_.groups * row_blocks;
    const Index grain = std::max<Index>(1, multiply_grain / std::max<Index>(1, work / items));
    const Index x_unit = round_up(padded_rows(strip_) * padded_width_ * channels_ + 2 * lanes<T>, lanes<T>);
    const Index dy_panel = strip_ * columns_ * MR<T>;
    const Index most_panels = ceil_div(std::min(rows_, row_block()), MR<T>);
    const Index dy_unit = round_up(most_panels * dy_panel + lanes<T>, lanes<T>);
    Index together = 1;
    if (strips_ == 1)
      together =
          std::clamp<Index>(std::min(gradient_positions / (strip_ * columns_), 2 * gradient_limit / (x_unit + dy_unit)),
                            1, ceil_div(s_.batch, slabs));
    const Team team(items, grain, work);
    const Buffer<T> space(team.workers() * together * (x_unit + dy_unit));
    const Buffer<T> sums(slabs * size);
    team.run([&](Index begin, Index end, int worker) {
      Strip strip{};
      strip.x = space.data() + worker * together * (x_unit + dy_unit);
      strip.dy = strip.x + together * x_unit;
      strip.x_unit = x_unit;
      strip.dy_unit = dy_unit;
      for (Index item = begin; item < end; ++item) {
        const Index slab = item / (s_.groups * row_blocks);
        strip.group = item / row_blocks % s_.groups;
        strip.first_channel = item % row_blocks * row_block();
        strip.channels = std::min(row_block(), rows_ - strip.first_channel);
        T* to = sums.data() + slab * size + (strip.group * rows_ + strip.first_channel) * row_;
        std::fill_n(to, strip.channels * row_, T{0});
        const Index stop = images * (slab + 1) / slabs;
        for (strip.image = images * slab / slabs; strip.image < stop; strip.image += together) {
          strip.units = std::min(together, stop - strip.image);
          add_strip(strip, to);
        }
      }
    });
    finish(sums.data(), slabs, size);
  }

 private:
  static constexpr Index row_block() { return gradient_rows * MR<T>; }
  // Of the source, under `rows` output rows.
  Index padded_rows(Index rows) const {
    return (rows - 1) * s_.stride_height + (s_.kernel_height - 1) * s_.dilation_height + 1;
  }

  struct Strip {
    Index image, units;  // image counts strips; several units are whole images
    Index group, first_channel, channels;
    T *x, *dy;
    Index x_unit, dy_unit;
  };

  void add_strip(const Strip& strip, T* sums) const {
    const Index first_row = strip.image % strips_ * strip_, rows = std::min(strip_, s_.out_height() - first_row);
    const Index panels = ceil_div(strip.channels, MR<T>);
    for (Index unit = 0; unit < strip.units; ++unit) {
      const Index image = (strip.image + unit) / strips_;
      prepare_x(image, strip.group, first_row, rows, strip.x + unit * strip.x_unit);
      const Index out_size = s_.out_height() * columns_;
      const T* from = dy_ + (image * s_.out_channels + strip.group * rows_ + strip.first_channel) * out_size;
      for (Index p = 0; p < panels; ++p) {
        const Index channel = strip.channels * p / panels, next = strip.channels * (p + 1) / panels;
        transpose<true>(next - channel, rows * columns_, from + channel * out_size + first_row * columns_, out_size,
                        strip.dy + unit * strip.dy_unit + p * rows * columns_ * MR<T>, MR<T>);
      }
    }
    const Index x_row = s_.stride_height * padded_width_ * channels_;
    Positions<T> at{strip.units, rows,         columns_, strip.dy_unit,
                    MR<T>,       strip.x_unit, x_row,    s_.stride_width * channels_};
    if (rows * columns_ == 1)
      at = {1, 1, strip.units, 0, strip.dy_unit, 0, 0, strip.x_unit};  // images are the positions
    const bool low = 2 * ceil_div(strip.channels, panels) <= MR<T>;
    for (Index v = 0, width; v < vectors_; v += width) {
      width = low && vectors_ - v > 2 ? 4 : 2;
      for (Index p = 0; p < panels; ++p) {
        const Index channel = strip.channels * p / panels, height = strip.channels * (p + 1) / panels - channel;
        const T* columns[4];
        for (Index j = 0; j < width; ++j) columns[j] = strip.x + offsets_.data()[v + j];
        const auto tile =
            width == 4 ? choose_gradient_tile<T, 4, MR<T> / 2>(height) : choose_gradient_tile<T, 2, MR<T>>(height);
        tile(at, strip.dy + p * rows * columns_ * MR<T>, columns, sums + channel * row_ + v * lanes<T>, row_);
      }
    }
  }

  // The padded rows of the source under a strip, channels innermost.
  void prepare_x(Index image, Index group, Index first_row, Index rows, T* to) const {
    const Index plane = s_.in_height * s_.in_width, before = std::min(s_.padding_width, padded_width_);
    const Index columns = std::clamp<Index>(padded_width_ - before, 0, s_.in_width);
    const T* from = x_ + (image * s_.in_channels + group * channels_) * plane;
    const Index first = first_row * s_.stride_height - s_.padding_height;
    for (Index row = first; row < first + padded_rows(rows); ++row, to += padded_width_ * channels_) {
      if (row < 0 || row >= s_.in_height) {
        zero_run(padded_width_ * channels_, to);
        continue;
      }
      zero_run(before * channels_, to);
      if (channels_ == 1) copy_run(columns, from + row * s_.in_width, to + before);
      else transpose<true>(channels_, columns, from + row * s_.in_width, plane, to + before * channels_, channels_);
      zero_run((padded_width_ - before - columns) * channels_, to + (before + columns) * channels_);
    }
  }

  // Adds the slabs in order, and puts the taps of a channel side by side.
  void finish(T* sums, Index slabs, Index size) const {
    const Index kernel = s_.kernel_height * s_.kernel_width;
    const Index grain = std::max<Index>(1, elementwise_grain / (slabs * row_));
    parallel_for(s_.out_channels, grain, [&](Index begin, Index end) {
      for (Index channel = begin; channel < end; ++channel) {
        T* sum = sums + channel * row_;
        for (Index slab = 1; slab < slabs; ++slab)
          for (Index i = 0; i < row_; ++i) sum[i] += sum[slab * size + i];
        T* to = dweight_ + channel * channels_ * kernel;
        for (Index tap = 0; tap < kernel; ++tap) {
          const T* from = sum + tap / run_taps_ * run_vectors_ * lanes<T> + tap % run_taps_ * channels_;
          for (Index c = 0; c < channels_; ++c) to[c * kernel + tap] = from[c];
        }
      }
    });
  }

  ConvShape s_;
  const T* x_;
  const T* dy_;
  T* dweight_;
  Index channels_, rows_;  // per group
  Index columns_, padded_width_;
  Index run_taps_, runs_, run_vectors_;  // horizontal taps side by side, and the vectors of columns they fill
  Index vectors_, row_;                  // row_: elements of the sums of one output channel, with room for a last tile
  Buffer<Index> offsets_;                // of each vector of columns, from a position in the source
  Index strip_, strips_;                 // output rows at a time
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
