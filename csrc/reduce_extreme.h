// The largest or smallest element along an axis, and where it stands first.
#pragma once

#include <algorithm>
#include <cstring>

#include "memory.h"
#include "parallel.h"
#include "vec.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr Index chunk = elementwise_grain;  // elements of a row that one thread adds alone
constexpr Index strip_columns = 512;        // of one work item: 4 KiB of running sums at most

// True where v is more extreme than best, or the first NaN.
template <bool largest, typename T> DLCORE_INLINE bool beats(T v, T best) {
  return (largest ? v > best : v < best) || (v != v && best == best);
}

template <bool largest, typename T> void extreme_of_row(Index n, const T* x, T* value, std::int32_t* index) {
  constexpr Index width = 4 * lanes<T>;
  Index i = 0;
  T best = x[0];
  if (n >= 2 * width) {  // the value first, then its position
    Vec<T> extremes[4];
    Vec<IntOf<T>> nan{};
    for (int k = 0; k < 4; ++k) extremes[k] = load(x + k * lanes<T>);
    for (; i + width <= n; i += width)
      for (int k = 0; k < 4; ++k) {
        const Vec<T> v = load(x + i + k * lanes<T>);
        nan |= v != v;
        extremes[k] = (largest ? v > extremes[k] : v < extremes[k]) ? v : extremes[k];
      }
    IntOf<T> nan_lanes[lanes<T>], any_nan = 0;
    std::memcpy(nan_lanes, &nan, sizeof nan);
    for (int k = 0; k < lanes<T>; ++k) any_nan |= nan_lanes[k];
    if (any_nan) {
      i = 0;  // the scalar loop below finds the first
    } else {
      T candidates[width];
      std::memcpy(candidates, extremes, sizeof candidates);
      for (Index k = 0; k < width; ++k)
        if (beats<largest>(candidates[k], best)) best = candidates[k];
      for (; i < n; ++i)
        if (beats<largest>(x[i], best)) best = x[i];
      if (best == best) {
        constexpr Index block = 64;
        for (i = 0; i + block <= n; i += block) {
          IntOf<T> found = 0;
          for (Index j = 0; j < block; ++j) found |= x[i + j] == best ? -1 : 0;
          if (found) break;
        }
        i = std::min(i, n - 1);  // both bounds hold where another thread changes x meanwhile
        while (i + 1 < n && x[i] != best) ++i;
        *value = x[i];
        *index = static_cast<std::int32_t>(i);
        return;
      }
      i = 0;
      best = x[0];
    }
  }
  Index position = 0;
  for (; i < n && best == best; ++i)
    if (beats<largest>(x[i], best)) {
      best = x[i];
      position = i;
    }
  *value = best;
  *index = static_cast<std::int32_t>(position);
}

template <bool largest, typename T>
void extreme_rows(Index rows, Index n, const T* x, T* values, std::int32_t* indices) {
  const Index pieces = ceil_div(n, chunk);
  const Buffer<T> value_buffer = pieces > 1 ? Buffer<T>(rows * pieces) : Buffer<T>();
  const Buffer<std::int32_t> index_buffer = pieces > 1 ? Buffer<std::int32_t>(rows * pieces) : Buffer<std::int32_t>();
  T* best = pieces > 1 ? value_buffer.data() : values;
  std::int32_t* position = pieces > 1 ? index_buffer.data() : indices;
  parallel_for(rows * pieces, std::max<Index>(1, chunk / n), [&](Index begin, Index end) {
    for (Index item = begin; item < end; ++item) {
      const Index first = item % pieces * chunk;
      extreme_of_row<largest>(std::min(chunk, n - first), x + item / pieces * n + first, best + item, position + item);
    }
  });
  if (pieces == 1) return;
  for (Index row = 0; row < rows; ++row) {
    std::int32_t piece = 0;
    extreme_of_row<largest>(pieces, best + row * pieces, values + row, &piece);
    indices[row] = static_cast<std::int32_t>(piece * chunk) + position[row * pieces + piece];
  }
}

template <bool largest, typename T>
void extreme_columns(Index outer, Index n, Index inner, const T* x, T* values, std::int32_t* indices) {
  const Index strips = ceil_div(inner, strip_columns);
  const Index work = n * std::min(inner, strip_columns);
  parallel_for(outer * strips, std::max<Index>(1, elementwise_grain / work), [&](Index begin, Index end) {
    for (Index item = begin; item < end; ++item) {
      const Index column = item % strips * strip_columns, width = std::min(strip_columns, inner - column);
      const T* __restrict from = x + item / strips * n * inner + column;
      T* __restrict best = values + item / strips * inner + column;
      std::int32_t* __restrict position = indices + item / strips * inner + column;
      std::copy_n(from, width, best);
      std::fill_n(position, width, 0);
      for (Index i = 1; i < n; ++i) {
        from += inner;
        const auto here = static_cast<std::int32_t>(i);
        for (Index j = 0; j < width; ++j) {
          const T v = from[j], old = best[j];
          const bool take = (largest ? v > old : v < old) | ((v != v) & (old == old));
          best[j] = take ? v : old;
          position[j] = take ? here : position[j];
        }
      }
    }
  });
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
