// The largest elements of windows of 2 x 2 side by side: whole rows are read once, and parted into even and odd
// columns.
#pragma once

#include "block.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// The larger of two, and where it is: the first one where they are equal or where it is NaN.
template <typename B> struct Largest {
  typename B::Values value;
  typename B::Places place;

  DLCORE_INLINE Largest or_later(const Largest& other) const {
    const auto keep = (other.value <= value) | (value != value);
    return {keep ? value : other.value, keep ? place : other.place};
  }
};

// Of one plane. Where a vector is longer than a row, what it leaves beyond the row is overwritten by the next.
template <int bytes, bool beyond, typename T>
void max_tiles(const PoolShape& shape, const T* x, T* y, std::int32_t* indices) {
  using B = Block<T, bytes>;
  using Places = typename B::Places;
  constexpr Index count = B::count;
  const Index width = shape.in_width, n = shape.out_width(), rows = shape.out_height();
  const auto below = static_cast<IntOf<T>>(width);
  Places even;
  for (int k = 0; k < count; ++k) even[k] = static_cast<IntOf<T>>(2 * k);
  for (Index i = 0; i < rows; ++i, x += 2 * width, y += n, indices += n) {
    for (Index j = 0; j < n; j += count) {
      if (!beyond) j = std::min(j, n - count);  // the last block may overlap the one before
      Largest<B> first{}, second{}, third{}, last{};
      load_pairs<B>(x + 2 * j, first.value, second.value);
      load_pairs<B>(x + width + 2 * j, third.value, last.value);
      second.place = first.place + 1;
      third.place = first.place + below;
      last.place = first.place + (below + 1);
      const Largest<B> largest = first.or_later(second).or_later(third.or_later(last));
      const auto value = from_lane_order<B>(largest.value);
      const Places place = from_lane_order<B>(largest.place) + even + static_cast<IntOf<T>>(2 * (i * width + j));
      const auto found = __builtin_convertvector(place, typename B::Indices);
      std::memcpy(y + j, &value, sizeof value);
      std::memcpy(indices + j, &found, sizeof found);
    }
  }
}

template <typename T> using MaxTiles = PlaneFunctions<void (*)(const PoolShape&, const T*, T*, std::int32_t*)>;

// None where windows are others, or rows are short.
template <typename T> MaxTiles<T> choose_max_tiles(const PoolShape& s) {
  if (s.kernel_height != 2 || s.kernel_width != 2 || s.stride_height != 2 || s.stride_width != 2 ||
      s.padding_height != 0 || s.padding_width != 0)
    return {};
  const auto row_bytes = s.out_width() * static_cast<Index>(sizeof(T));
  return choose_vectors<vector_bytes>(row_bytes, s.out_height() * row_bytes,
                                      [](auto bytes, auto beyond) { return max_tiles<bytes(), beyond(), T>; });
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
