// The weight gradient: for each output channel and tap, the inner product of dy with the planes at the tap's offset.
// Vectors run over positions, so nothing is transposed; a tile of inner products shares its loads.
#pragma once

#include "conv_plane.h"
#include "parallel.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Inner products in registers beside the vectors they are made of.
#if defined(__AVX512F__)
inline constexpr int dot_rows = 4, dot_taps = 6;
#elif defined(__AVX__)
inline constexpr int dot_rows = 3, dot_taps = 4;
#else
inline constexpr int dot_rows = 2, dot_taps = 4;
#endif
// Elements of planes and of dy that a worker holds at a time: together about half of a 512 KiB L2 cache.
inline constexpr Index dot_limit = 32768;
inline constexpr Index dot_row_block = 48;      // output channels of one work item; a multiple of every dot_rows
inline constexpr Index max_slabs = 16;          // of images, summed on their own
inline constexpr Index slab_limit = 4'000'000;  // elements of all slabs' sums
inline constexpr Index slab_grain = 1'000'000;  // multiply-adds worth a slab

// What one tile reads: `units` (images, or strips of them) of `vectors` vectors.
template <typename T> struct DotInput {
  Index units, vectors;
  const T* dy;  // dy[unit dy_unit + row dy_row + v lanes]
  Index dy_unit, dy_row;
  const T* planes;  // planes[unit plane_unit + starts[v] + offset of a tap]
  Index plane_unit;
  const Index* starts;
  const IntOf<T>* masks;  // of the lanes of each vector: -1 where it is a position, 0 where dy is padded
};

// sums[i][j] += over units and vectors of dy row i times the planes at offsets[j].
template <typename T, int rows, int taps>
__attribute__((noinline)) void dot_tile(const DotInput<T>& in, const T* dy, const Index* offsets, T* sums,
                                        Index stride) {
  Vec<T> sum[rows][taps] = {};
  for (Index unit = 0; unit < in.units; ++unit) {
    const T* row = dy + unit * in.dy_unit;
    const T* tap[taps];
    for (int j = 0; j < taps; ++j) tap[j] = in.planes + unit * in.plane_unit + offsets[j];
    for (Index v = 0; v < in.vectors; ++v) {
      const Index start = in.starts[v];
      const Vec<IntOf<T>> mask = load(in.masks + v * lanes<T>);
      Vec<T> d[rows];
#pragma GCC unroll 8
      for (int i = 0; i < rows; ++i) d[i] = load(row + i * in.dy_row + v * lanes<T>);
#pragma GCC unroll 8
      for (int j = 0; j < taps; ++j) {
        const Vec<T> x = bit_cast_vec<Vec<T>>(bit_cast_vec<Vec<IntOf<T>>>(load(tap[j] + start)) & mask);
#pragma GCC unroll 8
        for (int i = 0; i < rows; ++i) sum[i][j] += d[i] * x;
      }
    }
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < taps; ++j) sums[i * stride + j] += horizontal_sum<T>(sum[i][j]);
}

template <typename T> using DotTile = void (*)(const DotInput<T>&, const T*, const Index*, T*, Index);

template <typename T, int rows, int taps> DotTile<T> choose_dot(Index wanted_rows, Index wanted_taps) {
  if (wanted_rows == rows && wanted_taps == taps) return dot_tile<T, rows, taps>;
  if constexpr (rows > 1)
    if (wanted_rows < rows) return choose_dot<T, rows - 1, taps>(wanted_rows, wanted_taps);
  if constexpr (taps > 1) return choose_dot<T, rows, taps - 1>(wanted_rows, wanted_taps);
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
        vertical_(forward_axis(s_.in_height, s_.kernel_height, s_.stride_height, s_.padding_height, s_.dilation_height,
                               s_.out_height())),
        horizontal_(forward_axis(s_.in_width, s_.kernel_width, s_.stride_width, s_.padding_width, s_.dilation_width,
                                 s_.out_width())),
        layout_(make_layout<T>(vertical_, horizontal_, channels_, limit(), true)),
        strips_(ceil_div(vertical_.outputs, layout_.rows)),
        taps_(channels_ * vertical_.taps * horizontal_.taps),
        offsets_(taps_) {
    tap_offsets(layout_, vertical_, horizontal_, offsets_.data());
    const Index vectors = layout_.vectors(layout_.rows, horizontal_.outputs);
    starts_ = Buffer<Index>(2 * vectors);
    masks_ = Buffer<IntOf<T>>(2 * vectors * lanes<T>);
    last_rows_ = vertical_.outputs - (strips_ - 1) * layout_.rows;
    describe_vectors(layout_.rows, starts_.data(), masks_.data());
    describe_vectors(last_rows_, starts_.data() + vectors, masks_.data() + vectors * lanes<T>);
    dy_row_ = (vectors | 1) * lanes<T>;
  }

  void run() const {
    const Index size = s_.out_channels * taps_, images = s_.batch * strips_;
    const Index work = s_.batch * s_.out_channels * taps_ * vertical_.outputs * horizontal_.outputs;
    const Index slabs =
        std::clamp<Index>(std::min(work / slab_grain, slab_limit / size), 1, std::min(max_slabs, images));
    const Index row_blocks = ceil_div(rows_, dot_row_block), items = slabs * s_.groups * row_blocks;
    const Index grain = std::max<Index>(1, multiply_grain / std::max<Index>(1, work / items));
    const Index plane_unit = layout_.in_place ? 0 : prepared_size(layout_, vertical_, horizontal_);
    const Index dy_unit = std::min(rows_, dot_row_block) * dy_row_;
    // Whole images are taken several at a time, so that the sums of a tile stay longer in registers.
    const Index together =
        strips_ > 1 ? 1 : std::clamp<Index>(dot_limit / (plane_unit + dy_unit), 1, ceil_div(s_.batch, slabs));
    const Index space = round_up(together * (plane_unit + dy_unit), 64);
    const Buffer<T> scratch(max_workers(items, grain) * space);
    const Buffer<T> partial = slabs > 1 ? Buffer<T>(slabs * size) : Buffer<T>();
    T* sums = slabs > 1 ? partial.data() : dweight_;
    parallel_for_workers(items, grain, [&](Index begin, Index end, int worker) {
      T* planes = scratch.data() + worker * space;
      for (Index item = begin; item < end; ++item) {
        const Index slab = item / (s_.groups * row_blocks), group = item / row_blocks % s_.groups;
        const Index first = item % row_blocks * dot_row_block, rows = std::min(dot_row_block, rows_ - first);
        T* to = sums + slab * size + (group * rows_ + first) * taps_;
        std::fill_n(to, rows * taps_, T{0});
        const Index stop = images * (slab + 1) / slabs;
        for (Index image = images * slab / slabs; image < stop; image += together)
          add_images(image, std::min(together, stop - image), group, first, rows, planes, plane_unit,
                     planes + together * plane_unit, rows * dy_row_, to);
      }
    });
    if (slabs == 1) return;
    parallel_for(size, elementwise_grain / max_slabs, [&](Index begin, Index end) {
      std::copy_n(sums + begin, end - begin, dweight_ + begin);
      for (Index slab = 1; slab < slabs; ++slab)
        for (Index i = begin; i < end; ++i) dweight_[i] += sums[slab * size + i];
    });
  }

 private:
  Index limit() const {
    const Index planes = channels_ * vertical_.planes * horizontal_.planes * horizontal_.length();
    const Index row_dy = std::min(rows_, dot_row_block) * (horizontal_.length() + lanes<T>);
    const Index rows = std::max<Index>(1, dot_limit / row_dy);
    return std::min(dot_limit, (rows + vertical_.max_shift) * planes);
  }

  void describe_vectors(Index rows, Index* starts, IntOf<T>* masks) const {
    VectorStarts next(layout_, rows, horizontal_.outputs);
    const Index vectors = layout_.vectors(rows, horizontal_.outputs);
    for (Index v = 0; v < vectors; ++v) {
      starts[v] = next.next();
      for (Index lane = 0; lane < lanes<T>; ++lane) {
        const Index position = starts[v] + lane;  // flat, or within the row a vector belongs to
        const Index row = layout_.flat ? position / layout_.width : v / layout_.row_vectors;
        const bool repeated = layout_.flat && position < v * lanes<T>;
        masks[v * lanes<T> + lane] =
            row < rows && position - row * layout_.width < horizontal_.outputs && !repeated ? -1 : 0;
      }
    }
  }

  // The rows of dy, each position in the lane of its vector, zero in the others.
  void prepare_dy(const T* from, Index first_row, Index rows, Index channels, T* to) const {
    const Index columns = horizontal_.outputs;
    const Index vectors = layout_.vectors(rows, columns), lanes_used = vectors * lanes<T>;
    const Index moved = layout_.in_place ? lanes_used - ((rows - 1) * layout_.width + columns) : 0;
    for (Index channel = 0; channel < channels; ++channel, from += vertical_.outputs * columns, to += dy_row_) {
      Index end = 0;
      for (Index i = 0; i < rows; ++i) {
        const Index at = layout_.row_begin(i);
        zero_run(at - end, to + end);
        copy_run(columns, from + (first_row + i) * columns, to + at);
        end = at + columns;
      }
      zero_run(lanes_used - end, to + end);
      if (moved > 0) {  // the last vector was moved back: so are its positions
        T* last = to + lanes_used - lanes<T>;
        for (Index lane = lanes<T> - 1; lane >= moved; --lane) last[lane] = last[lane - moved];
        std::fill_n(last, moved, T{0});
      }
    }
  }

  void add_images(Index image, Index count, Index group, Index first_channel, Index rows, T* planes, Index plane_unit,
                  T* dy, Index dy_unit, T* sums) const {
    const Index in_size = s_.in_height * s_.in_width, out_size = vertical_.outputs * horizontal_.outputs;
    const Index strip = image % strips_, first_row = strip * layout_.rows;
    const bool last = strip == strips_ - 1;
    const Index strip_rows = last ? last_rows_ : layout_.rows;
    const Index most = layout_.vectors(layout_.rows, horizontal_.outputs);
    DotInput<T> in{count,
                   layout_.vectors(strip_rows, horizontal_.outputs),
                   dy,
                   dy_unit,
                   dy_row_,
                   planes,
                   plane_unit,
                   starts_.data() + (last ? most : 0),
                   masks_.data() + (last ? most * lanes<T> : 0)};
    for (Index unit = 0; unit < count; ++unit) {
      const Index n = (image + unit) / strips_;
      const T* source = x_ + (n * s_.in_channels + group * channels_) * in_size;
      const T* prepared =
          prepare_planes(layout_, vertical_, horizontal_, source, first_row, strip_rows, planes + unit * plane_unit);
      if (layout_.in_place && unit == 0) in.planes = prepared;
      prepare_dy(dy_ + (n * s_.out_channels + group * rows_ + first_channel) * out_size, first_row, strip_rows, rows,
                 dy + unit * dy_unit);
    }
    if (layout_.in_place) in.plane_unit = s_.in_channels * in_size;
    const Index row_tiles = ceil_div(rows, dot_rows), tap_tiles = ceil_div(taps_, dot_taps);
    for (Index r = 0; r < row_tiles; ++r) {
      const Index row = rows * r / row_tiles, tile_rows = rows * (r + 1) / row_tiles - row;
      for (Index t = 0; t < tap_tiles; ++t) {
        const Index tap = taps_ * t / tap_tiles, tile_taps = taps_ * (t + 1) / tap_tiles - tap;
        choose_dot<T, dot_rows, dot_taps>(tile_rows, tile_taps)(in, dy + row * dy_row_, offsets_.data() + tap,
                                                                sums + row * taps_ + tap, taps_);
      }
    }
  }

  ConvShape s_;
  const T* x_;
  const T* dy_;
  T* dweight_;
  Index channels_, rows_;  // per group
  Axis vertical_, horizontal_;
  Layout layout_;
  Index strips_, taps_;
  Buffer<Index> offsets_;
  Buffer<Index> starts_;    // of the vectors of a full strip, then of the last
  Buffer<IntOf<T>> masks_;  // of both
  Index last_rows_, dy_row_;
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
