// The largest elements of windows of 2 x 2 side by side: whole rows are read once, and parted into even and odd
// columns.
#pragma once

#include "pool_block.h"

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

// Of one plane.
template <int bytes, typename T> void max_tiles(const PoolShape& shape, const T* x, T* y, std::int32_t* indices) {
  using B = Block<T, bytes>;
  using Places = typename B::Places;
  constexpr Index count = B::count;
  const Index width = shape.in_width, n = shape.out_width(), rows = shape.out_height();
  const auto below = static_cast<IntOf<T>>(width);
  Places even;
  for (int k = 0; k < count; ++k) even[k] = static_cast<IntOf<T>>(2 * k);
  for (Index i = 0; i < rows; ++i, x += 2 * width, y += n, indices += n) {
    for (Index j = 0; j < n; j += count) {
      j = std::min(j, n - count);  // the last block may overlap the one before
      Largest<B> first{}, second{}, third{}, last{};
      load_pairs<B>(x + 2 * j, first.value, second.value);
      load_pairs<B>(x + width + 2 * j, third.value, last.value);
      second.place = first.place + 1;
      third.place = first.place + below;
      last.place = first.place + (below + 1);
      const Largest<B> largest = first.or_later(second).or_later(third.or_later(last));
      const Places place = largest.place + even + static_cast<IntOf<T>>(2 * (i * width + j));
      const auto found = __builtin_convertvector(place, typename B::Indices);
      std::memcpy(y + j, &largest.value, sizeof largest.value);
      std::memcpy(indices + j, &found, sizeof found);
    }
  }
}

template <typename T> using MaxTiles = void (*)(const PoolShape&, const T*, T*, std::int32_t*);

// Null where windows are others, or rows are short.
template <typename T> MaxTiles<T> choose_max_tiles(const PoolShape& s) {
  if (s.kernel_height != 2 || s.kernel_width != 2 || s.stride_height != 2 || s.stride_width != 2 ||
      s.padding_height != 0 || s.padding_width != 0)
    return nullptr;
  const auto row_bytes = s.out_width() * static_cast<Index>(sizeof(T));
  if constexpr (vector_bytes >= 64)
    if (row_bytes >= 64) return max_tiles<64, T>;
  if constexpr (vector_bytes >= 32)
    if (row_bytes >= 32) return max_tiles<32, T>;
  return row_bytes >= 16 ? max_tiles<16, T> : nullptr;
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
