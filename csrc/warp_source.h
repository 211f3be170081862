// Where the pixels of moved images come from, for one pixel; see movement.h.
#pragma once

#include <cmath>

#include "movement.h"
#include "vec.h"

namespace dlcore::DLCORE_DEVICE {

// The four pixels from (top, left) on that an output pixel is mixed of, `down` and `right` of the first of them.
template <typename T> struct WarpSource {
  enum { within, outside, unknown } place;
  Index top, left;
  T down, right;
};

// Coordinates are read once: memory of others may change, and an index must not.
template <typename T>
DLCORE_INLINE WarpSource<T> warp_source(const WarpShape& s, const T* map, const T* field, Index i, Index j) {
  const T y = static_cast<T>(i), x = static_cast<T>(j);
  T row = map[0] * y + map[1] * x + map[2], column = map[3] * y + map[4] * x + map[5];
  if (field) {
    row += field[i * s.width + j];
    column += field[(s.height + i) * s.width + j];
  }
  if (row > -1 && row < static_cast<T>(s.height) && column > -1 && column < static_cast<T>(s.width)) {
    const T top = std::floor(row), left = std::floor(column);
    return {WarpSource<T>::within, static_cast<Index>(top), static_cast<Index>(left), row - top, column - left};
  }
  return {row != row || column != column ? WarpSource<T>::unknown : WarpSource<T>::outside, 0, 0, 0, 0};
}

// A weight of 0 hides what it stands at, also a NaN.
template <typename T> DLCORE_INLINE T warp_mix(T a, T b, T share) {
  return share == T(0) ? a : (1 - share) * a + share * b;
}

template <typename T>
DLCORE_INLINE T warp_sample(const WarpShape& s, const T* plane, const WarpSource<T>& from, T fill) {
  const auto at = [&](Index row, Index column) {
    return row >= 0 && row < s.height && column >= 0 && column < s.width ? plane[row * s.width + column] : fill;
  };
  const T above = warp_mix(at(from.top, from.left), at(from.top, from.left + 1), from.right);
  const T below = warp_mix(at(from.top + 1, from.left), at(from.top + 1, from.left + 1), from.right);
  return warp_mix(above, below, from.down);
}

// Calls add(index in the plane, weight) for those of the four pixels that count.
template <typename T, typename Add>
DLCORE_INLINE void each_warp_target(const WarpShape& s, const WarpSource<T>& from, const Add& add) {
  for (int r = 0; r < 2; ++r)
    for (int c = 0; c < 2; ++c) {
      const Index row = from.top + r, column = from.left + c;
      const T weight = (r ? from.down : 1 - from.down) * (c ? from.right : 1 - from.right);
      if (weight != T(0) && row >= 0 && row < s.height && column >= 0 && column < s.width)
        add(row * s.width + column, weight);
    }
}

}  // namespace dlcore::DLCORE_DEVICE
