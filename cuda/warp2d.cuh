// Images whose pixels come from elsewhere in the image: see csrc/movement.h.
#pragma once

#include "../csrc/warp_source.h"
#include "lanes.cuh"

namespace dlcore::DLCORE_DEVICE {

template <typename T>
__global__ void warp2d_kernel(WarpShape s, Index n, const T* x, const T* maps, const T* field, T fill, T* y) {
  const Index area = s.height * s.width;
  for (Index at = global_thread(); at < n; at += global_threads()) {
    const Index image = at / area, pixel = at % area;
    const auto from =
        warp_source(s, maps + image * 6, field ? field + image * 2 * area : nullptr, pixel / s.width, pixel % s.width);
    for (Index c = 0; c < s.channels; ++c) {
      const T* plane = x + (image * s.channels + c) * area;
      T result = from.place == WarpSource<T>::unknown ? quiet_nan<T>() : fill;
      if (from.place == WarpSource<T>::within) result = warp_sample(s, plane, from, fill);
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
      if (from.place != WarpSource<T>::within) continue;
      const T value = dy[plane * area + pixel];
      each_warp_target(s, from, [=](Index target, T weight) {
        if (target % blockDim.x == threadIdx.x) to[target] += weight * value;
      });
    }
  }
}

}  // namespace dlcore::DLCORE_DEVICE
