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

// One dimension of the way from a position of the product to a pixel: y stride + tap dilation - padding, or, for the
// adjoint, (y + padding - tap dilation) / stride where that is whole. -1 outside [0, size).
struct Axis {
  int size, stride, padding, dilation;
  Divisor by_stride;
  template <bool adjoint> __device__ int pixel(int y, int tap) const {
    if constexpr (adjoint) {
      const int t = y + padding - tap * dilation;
      if (t < 0) return -1;
      const int pixel = static_cast<int>(by_stride.quotient(static_cast<unsigned>(t)));
      return pixel < size && pixel * stride == t ? pixel : -1;
    } else {
      const int pixel = y * stride + tap * dilation - padding;
      return pixel >= 0 && pixel < size ? pixel : -1;
    }
  }
};

// Images (batch, groups * channels, height, width) under a kernel. A position is (image, y, x) of the product's other
// images, a tap is (channel, kernel row, kernel column).
template <typename T, bool adjoint> struct Patches {
  const T* data;
  Index image_size, group_size, plane;  // elements of an image, of a group of channels, of a channel
  unsigned positions, taps;
  Divisor by_plane, by_width;    // of the other images
  Divisor by_kernel, by_column;  // kernel elements of a channel, kernel columns
  Axis rows, columns;

  struct Position {
    Index image;  // its first element, or -1 behind the last position
    int y, x;
  };
  __device__ Position position(Index group, Index at) const {
    if (at >= static_cast<Index>(positions)) return {-1, 0, 0};
    const auto n = static_cast<unsigned>(at), image = by_plane.quotient(n), within = n - image * by_plane.d;
    const unsigned y = by_width.quotient(within);
    return {image * image_size + group * group_size, static_cast<int>(y), static_cast<int>(within - y * by_width.d)};
  }
  struct Tap {
    int channel, row, column;  // channel -1 behind the last
  };
  __device__ Tap tap(Index at) const {
    if (at >= static_cast<Index>(taps)) return {-1, 0, 0};
    const auto n = static_cast<unsigned>(at), channel = by_kernel.quotient(n), within = n - channel * by_kernel.d;
    const unsigned row = by_column.quotient(within);
    return {static_cast<int>(channel), static_cast<int>(row), static_cast<int>(within - row * by_column.d)};
  }
  // Starts the copy of one element.
  __device__ void copy(const Position& at, const Tap& tap, bool wanted, T* to) const {
    const int y = rows.pixel<adjoint>(at.y, tap.row), x = columns.pixel<adjoint>(at.x, tap.column);
    const bool valid = wanted && at.image >= 0 && tap.channel >= 0 && (y | x) >= 0;
    copy_async<sizeof(T)>(to, valid ? data + at.image + tap.channel * plane + y * (columns.size) + x : data,
                          valid ? sizeof(T) : 0);
  }
};

// The rows of the operand are positions, its depth taps: forward, and the gradient of the input (adjoint).
template <typename T, bool adjoint> struct PositionsByTaps {
  Patches<T, adjoint> patches;

  template <int tile_rows, int tile_depth, int threads> struct Cursor {
    static constexpr int pitch = tile_rows + vector_size<T>, step = threads / tile_rows;
    static_assert(step * tile_rows == threads);
    const Patches<T, adjoint>& patches;
    typename Patches<T, adjoint>::Position at;

    __device__ Cursor(const PositionsByTaps& of, Index group, Index first_row)
        : patches(of.patches), at(of.patches.position(group, first_row + static_cast<int>(threadIdx.x) % tile_rows)) {}

    __device__ void load(Index p, Index end, T* tile) {
      const int thread = static_cast<int>(threadIdx.x), row = thread % tile_rows;
#pragma unroll
      for (int i = 0; i < tile_depth; i += step) {
        const int d = thread / tile_rows + i;
        patches.copy(at, patches.tap(p + d), p + d < end, tile + d * pitch + row);
      }
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

    __device__ Cursor(const TapsByPositions& of, Index group_, Index first_row) : patches(of.patches), group(group_) {
#pragma unroll
      for (int i = 0; i < count; ++i) taps[i] = patches.tap(first_row + static_cast<int>(threadIdx.x) / 8 + i * step);
    }

    __device__ void load(Index p, Index end, T* tile) {
      const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
      for (int j = 0; j < tile_depth; j += 8) {
        const int d = thread % 8 + j;
        const auto at = patches.position(group, p + d);
#pragma unroll
        for (int i = 0; i < count; ++i)
          patches.copy(at, taps[i], p + d < end, tile + d * pitch + thread / 8 + i * step);
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
    const T* base;
    Index left;

    __device__ Cursor(const SplitDepth& of, Index group, Index first_row)
        : operand(of), base(of.data + group * of.group_stride + first_row * of.row_stride), left(of.rows - first_row) {}

    __device__ void load(Index p, Index end, T* tile) {
      const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
      for (int j = 0; j < tile_depth; j += 8) {
        const int d = thread % 8 + j;
        const auto at = static_cast<unsigned>(p + d), outer = operand.by_inner.quotient(at);
        const T* const from = base + outer * operand.outer_stride + (at - outer * operand.by_inner.d);
#pragma unroll
        for (int i = 0; i < tile_rows; i += step) {
          const int row = thread / 8 + i;
          if (tile_rows % step && row >= tile_rows) break;
          const bool valid = row < left && p + d < end;
          copy_async<sizeof(T)>(tile + d * pitch + row, valid ? from + row * operand.row_stride : operand.data,
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
