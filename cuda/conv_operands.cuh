// Convolutions as matrix products whose operands are images seen through a kernel: no copy of the patches is laid out,
// their indices are computed while tiles are loaded.
#pragma once

#include "../csrc/conv.h"
#include "gemm_finish.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// n / d for 0 <= n < 2^31 by a multiplication (Granlund and Montgomery 1994).
struct Divisor {
  unsigned d, multiplier, shift;
  static Divisor of(Index divisor) {
    const auto d = static_cast<unsigned>(std::max<Index>(divisor, 1));
    unsigned log = 0;
    while ((std::uint64_t{1} << log) < d) ++log;
    if (log == 0) return {1, 0, 0};
    const std::uint64_t power = std::uint64_t{1} << (31 + log);
    return {d, static_cast<unsigned>((power + d - 1) / d), log - 1};
  }
  __device__ unsigned quotient(unsigned n) const { return d == 1 ? n : __umulhi(n, multiplier) >> shift; }
};

// Sizes of images with their padding stay below this; `nowhere` is a coordinate outside of every image, whatever is
// added to it.
inline constexpr Index most_extent = Index{1} << 29;
inline constexpr int nowhere = 3 << 29;

// One dimension of the way from a position of the product to a pixel: y stride + tap dilation - padding, or, for the
// adjoint, (y + padding - tap dilation) / stride where that is whole. With a stride of 1 the adjoint is the first form
// with the signs of padding and dilation turned.
struct Axis {
  int size, stride, padding, dilation;
  Divisor by_stride;
};

// Images (batch, groups * channels, height, width) under a kernel. A position is (image, y, x) of the product's other
// images, a tap is (channel, kernel row, kernel column). What either adds to an element's place is computed once: the
// copy of an element adds and compares.
template <typename T, bool adjoint> struct Patches {
  const T* data;
  Index image_size, group_size, plane;  // elements of an image, of a group of channels, of a channel
  unsigned positions, taps;
  Divisor by_plane, by_width;    // of the other images
  Divisor by_kernel, by_column;  // kernel elements of a channel, kernel columns
  Axis rows, columns;

  struct Position {
    const T* at;  // of tap (0, 0, 0), wherever that is; for the adjoint, of the image
    int y, x;
  };
  __device__ Position position(Index group, Index at) const {
    if (at >= static_cast<Index>(positions)) return {data, nowhere, 0};
    const auto n = static_cast<unsigned>(at), image = by_plane.quotient(n), within = n - image * by_plane.d;
    const unsigned row = by_width.quotient(within);
    const T* const from = data + image * image_size + group * group_size;
    const int y = static_cast<int>(row), x = static_cast<int>(within - row * by_width.d);
    if constexpr (adjoint) return {from, y + rows.padding, x + columns.padding};
    const int top = y * rows.stride - rows.padding, left = x * columns.stride - columns.padding;
    return {from + static_cast<Index>(top) * columns.size + left, top, left};
  }
  struct alignas(16) Tap {
    Index offset;  // to be added to the position's place
    int y, x;
  };
  __device__ Tap tap(Index at) const {
    if (at >= static_cast<Index>(taps)) return {0, 0, nowhere};
    const auto n = static_cast<unsigned>(at), channel = by_kernel.quotient(n), within = n - channel * by_kernel.d;
    const unsigned row = by_column.quotient(within);
    const int y = static_cast<int>(row) * rows.dilation,
              x = static_cast<int>(within - row * by_column.d) * columns.dilation;
    return {channel * plane + (adjoint ? 0 : static_cast<Index>(y) * columns.size + x), y, x};
  }
  // Starts the copy of one element; of no byte where there is none, and then from nowhere.
  __device__ void copy(const Position& at, const Tap& tap, T* to) const {
    if constexpr (adjoint) {
      const int y = whole(rows, at.y - tap.y), x = whole(columns, at.x - tap.x);
      const bool valid = (y | x) >= 0;
      copy_async<sizeof(T)>(to, at.at + tap.offset + static_cast<Index>(y) * columns.size + x, valid ? sizeof(T) : 0);
    } else {
      const bool valid = static_cast<unsigned>(at.y + tap.y) < static_cast<unsigned>(rows.size) &&
                         static_cast<unsigned>(at.x + tap.x) < static_cast<unsigned>(columns.size);
      copy_async<sizeof(T)>(to, at.at + tap.offset, valid ? sizeof(T) : 0);
    }
  }

 private:
  // distance / stride, or -1 where that is not whole or outside of the image.
  __device__ static int whole(const Axis& axis, int distance) {
    if (distance < 0 || distance >= 2 * most_extent) return -1;
    const int pixel = static_cast<int>(axis.by_stride.quotient(static_cast<unsigned>(distance)));
    return pixel < axis.size && pixel * axis.stride == distance ? pixel : -1;
  }
};

// The rows of the operand are positions, its depth taps: forward, and the gradient of the input. The taps of a tile are
// the same for all positions: some threads look them up for the tile after the one that is loaded.
template <typename T, bool adjoint> struct PositionsByTaps {
  Patches<T, adjoint> patches;

  template <int tile_rows, int tile_depth, int threads> struct Cursor {
    static constexpr int pitch = tile_rows + vector_size<T>, step = threads / tile_rows;
    static_assert(step * tile_rows == threads && tile_depth <= threads);
    using Tap = typename Patches<T, adjoint>::Tap;
    const Patches<T, adjoint>& patches;
    Tap (*taps)[tile_depth];
    typename Patches<T, adjoint>::Position at;
    int tile = 0;

    __device__ Cursor(const PositionsByTaps& of, Index group, Index first_row, Index begin)
        : patches(of.patches), at(of.patches.position(group, first_row + static_cast<int>(threadIdx.x) % tile_rows)) {
      DLCORE_SHARED(of_two_tiles, Tap[2][tile_depth]);
      taps = of_two_tiles;
      look_up(begin);
      __syncthreads();
    }

    // Between two calls there is a barrier: what one looks up the next reads.
    __device__ void load(Index p, Index, T* to) {
      const int thread = static_cast<int>(threadIdx.x), row = thread % tile_rows;
      const Tap* const here = taps[tile];
      tile ^= 1;
      look_up(p + tile_depth);
#pragma unroll
      for (int i = 0; i < tile_depth; i += step) {
        const int d = thread / tile_rows + i;
        patches.copy(at, here[d], to + d * pitch + row);
      }
    }

   private:
    __device__ void look_up(Index p) {
      if (threadIdx.x < tile_depth) taps[tile][threadIdx.x] = patches.tap(p + static_cast<int>(threadIdx.x));
    }
  };
};

// The rows are taps, the depth positions: the gradient of the weight.
template <typename T> struct TapsByPositions {
  Patches<T, false> patches;

  template <int tile_rows, int tile_depth, int threads> struct Cursor {
    static constexpr int pitch = tile_rows + vector_size<T>, step = threads / 8, count = tile_rows / step;
    const Patches<T, false>& patches;
    Index group;
    typename Patches<T, false>::Tap taps[count];

    __device__ Cursor(const TapsByPositions& of, Index group_, Index first_row, Index)
        : patches(of.patches), group(group_) {
#pragma unroll
      for (int i = 0; i < count; ++i) taps[i] = patches.tap(first_row + static_cast<int>(threadIdx.x) / 8 + i * step);
    }

    __device__ void load(Index p, Index, T* tile) {
      const int thread = static_cast<int>(threadIdx.x);
#pragma unroll 1  // registers are short here
      for (int j = 0; j < tile_depth; j += 8) {
        const int d = thread % 8 + j;
        const auto at = patches.position(group, p + d);
#pragma unroll
        for (int i = 0; i < count; ++i) patches.copy(at, taps[i], tile + d * pitch + thread / 8 + i * step);
      }
    }
  };
};

// Rows of channels, the depth (outer, inner): element (row, outer, inner) stands at outer * outer_stride + row *
// row_stride + inner. The filters of the input's gradient (outer: filters, inner: kernel elements), and dy of the
// weight's (outer: images, inner: pixels).
template <typename T> struct SplitDepth {
  static constexpr bool flat = true;
  const T* data;
  Index rows, row_stride, outer_stride, group_stride;
  Divisor by_inner;

  template <int tile_rows, int tile_depth, int threads> struct Cursor {
    static constexpr int pitch = tile_rows + vector_size<T>, step = threads / 8;
    const SplitDepth& operand;
    const T* base;  // of this thread's first row
    Index left;     // rows from there on

    __device__ Cursor(const SplitDepth& of, Index group, Index first_row, Index) : operand(of) {
      first_row += static_cast<int>(threadIdx.x) / 8;
      base = of.data + group * of.group_stride + first_row * of.row_stride;
      left = of.rows - first_row;
    }

    __device__ void load(Index p, Index end, T* tile) {
      const int thread = static_cast<int>(threadIdx.x);
#pragma unroll 1  // registers are short here
      for (int j = 0; j < tile_depth; j += 8) {
        const int d = thread % 8 + j;
        const auto at = static_cast<unsigned>(p + d), outer = operand.by_inner.quotient(at);
        const T* const from = base + outer * operand.outer_stride + (at - outer * operand.by_inner.d);
        const bool within = p + d < end;
#pragma unroll
        for (int i = 0; i < tile_rows; i += step) {
          if (tile_rows % step && thread / 8 + i >= tile_rows) break;
          const bool valid = within && i < left;
          copy_async<sizeof(T)>(tile + d * pitch + thread / 8 + i, from + i * operand.row_stride,
                                valid ? sizeof(T) : 0);
        }
      }
    }
  };
};

// Rows are the channels of a group, columns the pixels of all images: y[image, channel, pixel] = activation(x +
// bias[channel]).
template <typename T> struct PlanesFinish {
  T* y;
  Index channels, group_channels, plane;
  Divisor by_plane;
  Epilogue<T> epilogue;
  bool aligned;  // four neighbours are in one plane, and can be written at once

  __device__ void operator()(Index group, Index row, Index column, const T (&x)[vector_size<T>], int count) const {
    constexpr int v = vector_size<T>;
    const Index channel = group * group_channels + row;
    const T bias = epilogue.bias ? epilogue.bias[channel] : T(0);
    Pack<T> out;
#pragma unroll
    for (int j = 0; j < v; ++j) out.item[j] = x[j] + bias;
    if (epilogue.activation != Activation::identity)
#pragma unroll
      for (int j = 0; j < v; ++j) out.item[j] = activate(epilogue.activation, out.item[j], epilogue.parameter);
    const auto place = [&](Index at) {
      const unsigned image = by_plane.quotient(static_cast<unsigned>(at));
      return y + (image * channels + channel) * plane + (at - static_cast<Index>(image) * plane);
    };
    if (aligned) {
      *reinterpret_cast<Pack<T>*>(place(column)) = out;
    } else {
#pragma unroll
      for (int j = 0; j < v; ++j)
        if (j < count) *place(column + j) = out.item[j];
    }
  }
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
