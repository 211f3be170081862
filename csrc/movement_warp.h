// What movement.cpp computes of moved images: see movement.h.
#pragma once

#include <algorithm>
#include <limits>

#include "movement.h"
#include "parallel.h"
#include "warp_source.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr Index warp_grain = elementwise_grain / 8;  // pixels; one takes as long as several of cheap work

}  // namespace

template <typename T> void warp2d(const WarpShape& s, const T* x, const T* maps, const T* field, T fill, T* y) {
  const Index area = s.height * s.width;
  if (area == 0 || s.channels == 0) return;
  const Index grain = std::max<Index>(1, warp_grain / (s.width * s.channels));
  parallel_for(s.batch * s.height, grain, [=](Index begin, Index end) {
    for (Index item = begin; item < end; ++item) {
      const Index image = item / s.height, i = item % s.height;
      const T* planes = x + image * s.channels * area;
      T* to = y + image * s.channels * area + i * s.width;
      for (Index j = 0; j < s.width; ++j) {
        const auto from = warp_source(s, maps + image * 6, field ? field + image * 2 * area : nullptr, i, j);
        const T otherwise = from.place == WarpSource<T>::unknown ? std::numeric_limits<T>::quiet_NaN() : fill;
        for (Index c = 0; c < s.channels; ++c)
          to[c * area + j] =
              from.place == WarpSource<T>::within ? warp_sample(s, planes + c * area, from, fill) : otherwise;
      }
    }
  });
}

// A plane has one owner, that adds in the order of the output's pixels.
template <typename T> void warp2d_grad(const WarpShape& s, const T* dy, const T* maps, const T* field, T* dx) {
  const Index area = s.height * s.width;
  if (area == 0) return;
  parallel_for(s.batch * s.channels, std::max<Index>(1, warp_grain / area), [=](Index begin, Index end) {
    std::fill_n(dx + begin * area, (end - begin) * area, T{0});
    for (Index plane = begin; plane < end; ++plane) {
      const Index image = plane / s.channels;
      const T* image_field = field ? field + image * 2 * area : nullptr;
      for (Index i = 0; i < s.height; ++i)
        for (Index j = 0; j < s.width; ++j) {
          const auto from = warp_source(s, maps + image * 6, image_field, i, j);
          if (from.place != WarpSource<T>::within) continue;
          const T value = dy[plane * area + i * s.width + j];
          each_warp_target(s, from, [=](Index target, T weight) { dx[plane * area + target] += weight * value; });
        }
    }
  });
}

}  // namespace dlcore::DLCORE_DEVICE
