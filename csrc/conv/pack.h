// Weights in the order the micro-kernels read them, and transposes between channels, positions and images.
#pragma once

#include "../matmul/kernel.h"
#include "../matmul/pack.h"
#include "../parallel.h"
#include "plane.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Where the weight of an output row, a channel and a kernel element is: data[group, row, channel, element].
template <typename T> struct WeightView {
  const T* data;
  Index group_stride, row_stride, channel_stride;
};

enum class DepthOrder { channel_tap, tap_channel };

// Panels of rows: so many units of `unit` rows, at most. MR rows that are broadcast, or vectors of rows.
struct PanelShape {
  Index unit, most;
};

// Weights of all groups as [group][panel][depth][width]; the panels as equal as possible.
template <typename T> struct PackedWeights {
  PanelShape shape;
  Index row_count, panels, height, higher;  // the first `higher` panels have one unit more
  Index width, depth;
  Buffer<T> data;

  PackedWeights(PanelShape panel_shape, Index groups, Index rows_of_group, Index channels, const Axis& vertical,
                const Axis& horizontal, Index kernel_width, const WeightView<T>& weights, DepthOrder order)
      : shape(panel_shape),
        row_count(rows_of_group),
        panels(ceil_div(row_count, shape.unit * shape.most)),
        height(ceil_div(row_count, shape.unit) / panels),
        higher(ceil_div(row_count, shape.unit) % panels),
        width(shape.unit == 1 ? shape.most : shape.unit * (height + (higher > 0))),
        depth(channels * vertical.taps * horizontal.taps),
        data(groups * panels * depth * width) {
    const Index taps = vertical.taps * horizontal.taps;
    const Index tap_step = order == DepthOrder::tap_channel ? channels : 1;
    const Index channel_step = order == DepthOrder::tap_channel ? 1 : taps;
    const Index grain = std::max<Index>(1, elementwise_grain / std::max<Index>(1, depth * width));
    parallel_for(groups * panels, grain, [&](Index first, Index last) {
      for (Index item = first; item < last; ++item) {
        const Index index = item % panels;
        const T* group = weights.data + item / panels * weights.group_stride + begin(index) * weights.row_stride;
        T* panel = data.data() + item * depth * width;
        if (rows(index) % shape.unit) std::fill_n(panel, depth * width, T{0});
        for (Index i = 0; i < vertical.taps; ++i)
          for (Index j = 0; j < horizontal.taps; ++j) {
            const Index element = vertical.tap.data()[i].kernel * kernel_width + horizontal.tap.data()[j].kernel;
            T* to = panel + (i * horizontal.taps + j) * tap_step * width;
            for (Index row = 0; row < rows(index); ++row)
              for (Index c = 0; c < channels; ++c)
                to[c * channel_step * width + row] =
                    group[row * weights.row_stride + c * weights.channel_stride + element];
          }
      }
    });
  }
  Index begin(Index panel) const { return shape.unit * (panel * height + std::min(panel, higher)); }
  Index rows(Index panel) const { return std::min(shape.unit * (height + (panel < higher)), row_count - begin(panel)); }
  const T* panel(Index group, Index index) const { return data.data() + (group * panels + index) * depth * width; }
};

// Fewer than a vector, in powers of two: a library call would cost more.
template <typename T> DLCORE_INLINE void store_few(T* to, Vec<T> v, Index count) {
  T values[lanes<T>];
  store(values, v);
  const T* from = values;
#pragma GCC unroll 8
  for (int piece = lanes<T> / 2; piece > 0; piece /= 2)
    if (count & piece) {
      std::memcpy(to, from, piece * sizeof(T));
      to += piece;
      from += piece;
    }
}

template <typename T> DLCORE_INLINE Vec<T> load_few(const T* from, Index count) {
  T values[lanes<T>] = {};
  T* to = values;
#pragma GCC unroll 8
  for (int piece = lanes<T> / 2; piece > 0; piece /= 2)
    if (count & piece) {
      std::memcpy(to, from, piece * sizeof(T));
      to += piece;
      from += piece;
    }
  return load(values);
}

// to[j to_stride + i] = finish(from[i from_stride + j]): squares in registers, the last ones overlapping those before.
// `spill`: fewer rows than a vector may be stored as a whole one; what follows is written later, or room to spare.
template <bool spill, typename T, typename Finish>
DLCORE_INLINE void transpose(Index rows, Index columns, const T* from, Index from_stride, T* to, Index to_stride,
                             const Finish& finish) {
  constexpr Index side = lanes<T>;
  const Index row_count = std::min(rows, side), column_count = std::min(columns, side);
  for (Index i = 0; i < rows; i += side) {
    i = std::min(i, rows - row_count);
    for (Index j = 0; j < columns; j += side) {
      j = std::min(j, columns - column_count);
      const T* source = from + i * from_stride + j;
      T* target = to + j * to_stride + i;
      Vec<T> square[side];
      if (row_count == side && column_count == side) {
#pragma GCC unroll 16
        for (Index k = 0; k < side; ++k) square[k] = finish(load(source + k * from_stride));
        transpose_square<T>(square);
#pragma GCC unroll 16
        for (Index k = 0; k < side; ++k) store(target + k * to_stride, square[k]);
      } else {
        for (Index k = 0; k < side; ++k) {
          if (k >= row_count) square[k] = Vec<T>{};
          else if (column_count == side) square[k] = finish(load(source + k * from_stride));
          else square[k] = finish(load_few(source + k * from_stride, column_count));
        }
        transpose_square<T>(square);
        for (Index k = 0; k < column_count; ++k) {
          if (spill || row_count == side) store(target + k * to_stride, square[k]);
          else store_few(target + k * to_stride, square[k], row_count);
        }
      }
    }
  }
}

template <bool spill, typename T>
void transpose(Index rows, Index columns, const T* from, Index from_stride, T* to, Index to_stride) {
  transpose<spill>(rows, columns, from, from_stride, to, to_stride, [](Vec<T> v) { return v; });
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
