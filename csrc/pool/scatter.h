// The gradient of max pooling: each element of dy goes to the place its window took the maximum from.
#pragma once

#include <algorithm>

#include "../movement.h"
#include "block.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Any indices: zeros, to which one element after the other is added.
template <typename T>
void scatter_plane(Index large, Index small, const T* dy, const std::int32_t* indices, T* __restrict dx) {
  std::fill_n(dx, large, T{0});
  for (Index i = 0; i < small; ++i) {
    const Index index = index_within(large, indices + i);
    if (index >= 0) dx[index] += dy[i];
  }
}

// Indices as windows of 2 x 2 side by side leave them, each within its own window: every element of dx is written once,
// in order. Whether all were so; else dx is to be written again. Where a vector is longer than a row, what it leaves
// beyond the row is overwritten by the next.
template <int bytes, bool beyond, typename T>
bool scatter_tiles(const PoolPlanes& size, const T* dy, const std::int32_t* indices, T* dx) {
  using B = Block<T, bytes>;
  using Values = typename B::Values;
  using Places = typename B::Places;
  constexpr Index count = B::count;
  const Index width = size.in_width, n = size.out_width;
  const auto below = static_cast<IntOf<T>>(width);
  Places even;
  for (int k = 0; k < count; ++k) even[k] = static_cast<IntOf<T>>(2 * k);
  Places strays{}, counted;
  for (int k = 0; k < count; ++k) counted[k] = k < n ? -1 : 0;
  counted = to_lane_order<B>(counted);
  for (Index i = 0; i < size.out_height; ++i, dy += n, indices += n, dx += 2 * width) {
    for (Index j = 0; j < n; j += count) {
      if (!beyond) j = std::min(j, n - count);  // the last block may overlap the one before
      Values share;
      typename B::Indices found;
      std::memcpy(&share, dy + j, sizeof share);
      std::memcpy(&found, indices + j, sizeof found);
      share = to_lane_order<B>(share + Values{});  // as added to zero: no zero is negative
      const Places within =
          __builtin_convertvector(found, Places) - (even + static_cast<IntOf<T>>(2 * (i * width + j)));
      const Places at = to_lane_order<B>(within);
      const Places here = at == 0, right = at == 1, under = at == below, last = at == below + 1;
      const Places stray = ~(here | right | under | last);
      strays |= beyond ? stray & counted : stray;
      store_pairs<B>(dx + 2 * j, here ? share : Values{}, right ? share : Values{});
      store_pairs<B>(dx + width + 2 * j, under ? share : Values{}, last ? share : Values{});
    }
    if (width % 2) dx[width - 1] = dx[2 * width - 1] = 0;
  }
  if (size.in_height % 2) std::fill_n(dx, width, T{0});
  bool any = false;
  for (int k = 0; k < count; ++k) any |= strays[k] != 0;
  return !any;
}

template <typename T>
using ScatterTiles = PlaneFunctions<bool (*)(const PoolPlanes&, const T*, const std::int32_t*, T*)>;

// None where the planes are not halved, or rows are short.
template <typename T> ScatterTiles<T> choose_tiles(const PoolPlanes& size) {
  if (size.out_width != size.in_width / 2 || size.out_height != size.in_height / 2) return {};
  const auto row_bytes = size.out_width * static_cast<Index>(sizeof(T));
  return choose_vectors<vector_bytes>(row_bytes, size.out_height * row_bytes,
                                      [](auto bytes, auto beyond) { return scatter_tiles<bytes(), beyond(), T>; });
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
