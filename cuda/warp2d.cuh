// Images whose pixels come from elsewhere in the image: see csrc/movement.h.
#pragma once

#include "../csrc/movement.h"
#include "lanes.cuh"

namespace dlcore::DLCORE_DEVICE {

// Where an output pixel comes from: the four pixels from (top, left) on, `down` and `right` of the first of them.
template <typename T> struct WarpSource {
  bool within, unknown;
  Index top, left;
  T down, right;
};

template <typename T>
__device__ WarpSource<T> warp_source(const WarpShape& s, const T* map, const T* field, Index i, Index j) {
  const T y = static_cast<T>(i), x = static_cast<T>(j);
  T row = map[0] * y + map[1] * x + map[2], column = map[3] * y + map[4] * x + map[5];
  if (field) {
    row += field[i * s.width + j];
    column += field[(s.height + i) * s.width + j];
  }
  if (row > -1 && row < static_cast<T>(s.height) && column > -1 && column < static_cast<T>(s.width)) {
    const T top = std::floor(row), left = std::floor(column);
    return {true, false, static_cast<Index>(top), static_cast<Index>(left), row - top, column - left};
  }
  return {false, row != row || column != column, 0, 0, 0, 0};
}

// A weight of 0 hides what it stands at, also a NaN.
template <typename T> __device__ T warp_mix(T a, T b, T share) {
  return share == T(0) ? a : (1 - share) * a + share * b;
}

template <typename T>
__global__ void warp2d_kernel(WarpShape s, Index n, const T* x, const T* maps, const T* field, T fill, T* y) {
  const Index area = s.height * s.width;
  for (Index at = global_thread(); at < n; at += global_threads()) {
    const Index image = at / area, pixel = at % area;
    const auto from =
        warp_source(s, maps + image * 6, field ? field + image * 2 * area : nullptr, pixel / s.width, pixel % s.width);
    for (Index c = 0; c < s.channels; ++c) {
      const T* plane = x + (image * s.channels + c) * area;
      const auto value = [&](Index row, Index column) {
        return row >= 0 && row < s.height && column >= 0 && column < s.width ? plane[row * s.width + column] : fill;
      };
      T result = from.unknown ? quiet_nan<T>() : fill;
      if (from.within)
        result = warp_mix(warp_mix(value(from.top, from.left), value(from.top, from.left + 1), from.right),
                          warp_mix(value(from.top + 1, from.left), value(from.top + 1, from.left + 1), from.right),
                          from.down);
      y[(image * s.channels + c) * area + pixel] = result;
    }
  }
}

// A block has a plane, each thread its pixels of dx: all look through the pixels of dy in order, and each adds what
// falls on its own.
template <typename T>
__global__ void warp2d_grad_kernel(WarpShape s, Index planes, const T* dy, const T* maps, const T* field, T* dx) {
  const Index area = s.height * s.width;
  for (Index plane = blockIdx.x; plane < planes; plane += gridDim.x) {
    const Index image = plane / s.channels;
    const T* image_field = field ? field + image * 2 * area : nullptr;
    T* to = dx + plane * area;
    for (Index own = threadIdx.x; own < area; own += blockDim.x) to[own] = 0;
    for (Index pixel = 0; pixel < area; ++pixel) {
      const auto from = warp_source(s, maps + image * 6, image_field, pixel / s.width, pixel % s.width);
      if (!from.within) continue;
      const T value = dy[plane * area + pixel];
      for (int r = 0; r < 2; ++r)
        for (int c = 0; c < 2; ++c) {
          const Index row = from.top + r, column = from.left + c;
          const T weight = (r ? from.down : 1 - from.down) * (c ? from.right : 1 - from.right);
          if (weight == T(0) || row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
          const Index target = row * s.width + column;
          if (target % blockDim.x == threadIdx.x) to[target] += weight * value;
        }
    }
  }
}

}  // namespace dlcore::DLCORE_DEVICE
