// How a convolution, or its adjoint, is laid out: one spatial axis at a time, and the planes the micro-kernels read.
//
// Every element the kernel multiplies is read at (a position's offset) + (a tap's offset), with neighbouring positions
// side by side: stride is taken out by splitting the source into residue planes (all elements a multiple of the stride
// apart), padding by zeros around them, dilation by the offsets. The im2col matrix exists only as these offsets.
#pragma once

#include <algorithm>
#include <numeric>

#include "../conv.h"
#include "../memory.h"
#include "../vec.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr Index multiply_grain = 400'000;  // multiply-adds worth handing to another thread: about 10 microseconds

// Output o of an axis is the sum over its taps of weight[tap.kernel] * plane[tap.plane][o + tap.shift].
struct Tap {
  Index kernel, plane, shift;
};

struct Axis {
  Index outputs = 0;
  Index source_size = 0;
  Index source_origin = 0,
        source_step = 1;  // element i of plane q is source[source_origin + residue q + i source_step]
  Index target_origin = 0, target_step = 1;  // output o is target[target_origin + o target_step]
  Index planes = 1, residue_step = 0;        // residue q = q residue_step modulo source_step
  Index taps = 0, max_shift = 0;
  Buffer<Tap> tap;

  Index length() const { return outputs + max_shift; }  // of a plane
  // The source element of the first output; tap by tap in ascending order.
  Index source(const Tap& t) const { return origin(t.plane) + t.shift * source_step; }
  Index origin(Index plane) const { return source_origin + plane * residue_step % source_step; }
  // Whether the source itself is the one plane.
  bool plain() const { return source_step == 1 && source_origin == 0 && length() == source_size; }
};

Axis forward_axis(Index size, Index kernel, Index stride, Index padding, Index dilation, Index outputs) {
  Axis axis;
  axis.outputs = outputs;
  axis.source_size = size;
  axis.source_origin = -padding;
  axis.source_step = stride;
  axis.residue_step = dilation;
  axis.planes = std::min(kernel, stride / std::gcd(stride, dilation));  // residues repeat with this period
  axis.taps = kernel;
  axis.tap = Buffer<Tap>(kernel);
  for (Index k = 0; k < kernel; ++k) axis.tap.data()[k] = {k, k % axis.planes, k * dilation / stride};
  axis.max_shift = (kernel - 1) * dilation / stride;
  return axis;
}

// The input elements h with (h + padding) % stride == residue receive from output o = (h + padding - k dilation) /
// stride through each kernel element k where that divides.
Axis adjoint_axis(Index size, Index kernel, Index stride, Index padding, Index dilation, Index outputs, Index residue) {
  const Index first = std::max<Index>(0, ceil_div(padding - residue, stride));
  const Index last = (size - 1 + padding - residue) >= 0 ? (size - 1 + padding - residue) / stride : -1;
  Axis axis;
  axis.outputs = std::max<Index>(0, last - first + 1);
  axis.target_origin = first * stride + residue - padding;
  axis.target_step = stride;
  axis.source_size = outputs;
  axis.tap = Buffer<Tap>(kernel);
  for (Index k = kernel - 1; k >= 0; --k) {
    if (k * dilation % stride != residue) continue;
    const Index distance = (k * dilation - residue) / stride;  // from the output to the input, in strides
    if (axis.taps == 0) axis.source_origin = first - distance;
    axis.max_shift = first - distance - axis.source_origin;
    axis.tap.data()[axis.taps++] = {k, 0, axis.max_shift};
  }
  return axis;
}

// Copies short runs: whole vectors, the last overlapping the one before.
template <typename T> DLCORE_INLINE void copy_run(Index n, const T* from, T* to) {
  if (n >= lanes<T>) {
    for (Index j = 0; j + lanes<T> <= n; j += lanes<T>) store(to + j, load(from + j));
    store(to + n - lanes<T>, load(from + n - lanes<T>));
  } else {
    for (Index j = 0; j < n; ++j) to[j] = from[j];
  }
}

template <typename T> DLCORE_INLINE void zero_run(Index n, T* to) {
  if (n >= lanes<T>) {
    for (Index j = 0; j + lanes<T> <= n; j += lanes<T>) store(to + j, Vec<T>{});
    store(to + n - lanes<T>, Vec<T>{});
  } else {
    for (Index j = 0; j < n; ++j) to[j] = 0;
  }
}

// The planes of a strip of output rows of one image, and the vectors of positions in it. Vectors either run on from row
// to row, garbage between the rows included (flat), or start anew with each row.
struct Layout {
  Index channels;
  Index rows;          // output rows of a strip, at most
  Index width;         // of a row of a plane
  Index plane_stride;  // elements
  bool in_place;       // the source is the planes
  bool flat;
  Index row_vectors;  // where not flat
  Index lanes;

  Index vectors(Index strip_rows, Index columns) const {
    return flat ? ceil_div((strip_rows - 1) * width + columns, lanes) : strip_rows * row_vectors;
  }
  Index row_begin(Index row) const { return flat ? row * width : row * row_vectors * lanes; }  // in lanes
};

// Positions the vectors of a strip cover, in the order of their lanes: where the next one starts in a plane.
class VectorStarts {
 public:
  VectorStarts(const Layout& layout, Index strip_rows, Index columns)
      : layout_(layout), last_((strip_rows - 1) * layout.width + columns - layout.lanes) {}
  // In place, the last vector is moved back so that it does not read beyond the source.
  Index next() {
    if (layout_.flat) {
      const Index start = next_;
      next_ += layout_.lanes;
      return layout_.in_place ? std::min(start, last_) : start;
    }
    const Index start = next_ + column_ * layout_.lanes;
    if (++column_ == layout_.row_vectors) {
      column_ = 0;
      next_ += layout_.width;
    }
    return start;
  }

 private:
  const Layout& layout_;
  Index last_, next_ = 0, column_ = 0;
};

// `limit`: elements of planes to prepare at a time, at least one output row's.
template <typename T>
Layout make_layout(const Axis& vertical, const Axis& horizontal, Index channels, Index limit, bool may_be_in_place) {
  Layout layout{};
  layout.channels = channels;
  layout.lanes = lanes<T>;
  layout.width = horizontal.length();
  const Index planes = std::max<Index>(1, channels * vertical.planes * horizontal.planes);
  layout.rows = std::clamp<Index>(limit / (planes * layout.width) - vertical.max_shift, 1, vertical.outputs);
  layout.rows = ceil_div(vertical.outputs, ceil_div(vertical.outputs, layout.rows));
  layout.row_vectors = ceil_div(horizontal.outputs, lanes<T>);
  const Index flat = (layout.rows - 1) * layout.width + horizontal.outputs;
  layout.flat = ceil_div(flat, lanes<T>) <= layout.rows * layout.row_vectors;
  // Reading the source where it lies is worth a few positions computed in vain.
  const bool holds_a_vector = layout.rows == vertical.outputs ? flat >= lanes<T> : horizontal.outputs >= lanes<T>;
  const bool sets_differ = vertical.source_size * horizontal.source_size % 256 != 0;  // of the cache, between channels
  if (may_be_in_place && vertical.plain() && horizontal.plain() && holds_a_vector && sets_differ &&
      10 * ceil_div(flat, lanes<T>) <= 11 * layout.rows * layout.row_vectors)
    layout.in_place = layout.flat = true;
  layout.plane_stride = (layout.rows + vertical.max_shift) * layout.width;
  if (layout.in_place) layout.plane_stride = vertical.source_size * horizontal.source_size;
  else if (layout.plane_stride % 256 == 0)
    layout.plane_stride += 64 / static_cast<Index>(sizeof(T));  // cache sets differ
  return layout;
}

// Elements of the planes of a strip, with room for a vector read past the end.
inline Index prepared_size(const Layout& layout, const Axis& vertical, const Axis& horizontal) {
  if (layout.in_place) return 0;
  return round_up(layout.channels * vertical.planes * horizontal.planes * layout.plane_stride + layout.lanes,
                  layout.lanes);
}

template <int step, typename T> void copy_stepped(Index n, const T* from, Index stride, T* to) {
  for (Index j = 0; j < n; ++j) to[j] = from[j * (step ? step : stride)];
}

// The planes that output rows [first_row, first_row + rows) of one image read; `source` is its first channel.
template <typename T>
const T* prepare_planes(const Layout& layout, const Axis& vertical, const Axis& horizontal, const T* source,
                        Index first_row, Index rows, T* space) {
  if (layout.in_place) return source + first_row * layout.width;
  const Index height = vertical.source_size, width = horizontal.source_size, step = horizontal.source_step;
  T* plane = space;
  for (Index channel = 0; channel < layout.channels; ++channel, source += height * width)
    for (Index v = 0; v < vertical.planes; ++v)
      for (Index h = 0; h < horizontal.planes; ++h, plane += layout.plane_stride) {
        const Index origin = horizontal.origin(h);
        const Index before = std::clamp<Index>(ceil_div(-origin, step), 0, layout.width);
        const Index end = std::clamp<Index>(ceil_div(width - origin, step), before, layout.width);
        for (Index i = 0; i < rows + vertical.max_shift; ++i) {
          const Index row = vertical.origin(v) + (first_row + i) * vertical.source_step;
          T* to = plane + i * layout.width;
          if (row < 0 || row >= height) {
            zero_run(layout.width, to);
            continue;
          }
          const T* from = source + row * width + origin + before * step;
          zero_run(before, to);
          if (step == 1) copy_run(end - before, from, to + before);
          else if (step == 2) copy_stepped<2>(end - before, from, 2, to + before);
          else copy_stepped<0>(end - before, from, step, to + before);
          zero_run(layout.width - end, to + end);
        }
      }
  return space;
}

// offsets[(channel, vertical tap, horizontal tap)]: from a position in the planes to what it multiplies.
inline void tap_offsets(const Layout& layout, const Axis& vertical, const Axis& horizontal, Index* offsets) {
  for (Index channel = 0; channel < layout.channels; ++channel)
    for (Index i = 0; i < vertical.taps; ++i)
      for (Index j = 0; j < horizontal.taps; ++j) {
        const Tap &v = vertical.tap.data()[i], &h = horizontal.tap.data()[j];
        const Index plane = (channel * vertical.planes + v.plane) * horizontal.planes + h.plane;
        *offsets++ = plane * layout.plane_stride + v.shift * layout.width + h.shift;
      }
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
