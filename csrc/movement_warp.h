// What movement.cpp computes of moved images: see movement.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "movement.h"
#include "parallel.h"
#include "vec.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr Index warp_grain = elementwise_grain / 8;  // pixels; one takes as long as several of cheap work

// Where an output pixel comes from: the four pixels from (top, left) on, `down` and `right` of the first of them.
template <typename T> struct Source {
  enum { within, outside, unknown } place;
  Index top, left;
  T down, right;
};

// Coordinates are read once: memory of others may change, and an index must not.
template <typename T>
DLCORE_INLINE Source<T> source_of(const WarpShape& s, const T* map, const T* field, Index i, Index j) {
  const T y = static_cast<T>(i), x = static_cast<T>(j);
  T row = map[0] * y + map[1] * x + map[2], column = map[3] * y + map[4] * x + map[5];
  if (field) {
    row += field[i * s.width + j];
    column += field[(s.height + i) * s.width + j];
  }
  if (row > -1 && row < static_cast<T>(s.height) && column > -1 && column < static_cast<T>(s.width)) {
    const T top = std::floor(row), left = std::floor(column);
    return {Source<T>::within, static_cast<Index>(top), static_cast<Index>(left), row - top, column - left};
  }
  return {row != row || column != column ? Source<T>::unknown : Source<T>::outside, 0, 0, 0, 0};
}

// A weight of 0 hides what it stands at, also a NaN.
template <typename T> DLCORE_INLINE T mix(T a, T b, T share) { return share == 0 ? a : (1 - share) * a + share * b; }

template <typename T> DLCORE_INLINE T sample(const WarpShape& s, const T* plane, const Source<T>& from, T fill) {
  const auto at = [&](Index row, Index column) {
    return row >= 0 && row < s.height && column >= 0 && column < s.width ? plane[row * s.width + column] : fill;
  };
  const T above = mix(at(from.top, from.left), at(from.top, from.left + 1), from.right);
  const T below = mix(at(from.top + 1, from.left), at(from.top + 1, from.left + 1), from.right);
  return mix(above, below, from.down);
}

template <typename T> DLCORE_INLINE void spread(const WarpShape& s, T* plane, const Source<T>& from, T value) {
  for (Index r = 0; r < 2; ++r)
    for (Index c = 0; c < 2; ++c) {
      const Index row = from.top + r, column = from.left + c;
      const T weight = (r ? from.down : 1 - from.down) * (c ? from.right : 1 - from.right);
      if (weight != 0 && row >= 0 && row < s.height && column >= 0 && column < s.width)
        plane[row * s.width + column] += weight * value;
    }
}

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
        const auto from = source_of(s, maps + image * 6, field ? field + image * 2 * area : nullptr, i, j);
        const T otherwise = from.place == Source<T>::unknown ? std::numeric_limits<T>::quiet_NaN() : fill;
        for (Index c = 0; c < s.channels; ++c)
          to[c * area + j] = from.place == Source<T>::within ? sample(s, planes + c * area, from, fill) : otherwise;
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
          const auto from = source_of(s, maps + image * 6, image_field, i, j);
          if (from.place == Source<T>::within) spread(s, dx + plane * area, from, dy[plane * area + i * s.width + j]);
        }
    }
  });
}

}  // namespace dlcore::DLCORE_DEVICE
