// Packing: strips of a matrix copied into the panels the micro-kernel reads, [depth][width], zero beyond the source.
#pragma once

#include <bit>
#include <utility>

#include "../types.h"
#include "../vec.h"

namespace dlcore::DLCORE_DEVICE {

namespace detail {

// result[lane] = lane_of(lane) < lanes ? a[lane_of(lane)] : b[lane_of(lane) - lanes], as one shuffle.
template <typename T, typename F, int... lane>
DLCORE_INLINE Vec<T> shuffle(Vec<T> a, Vec<T> b, F lane_of, std::integer_sequence<int, lane...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, F()(lane)...);
#else
  typedef IntOf<T> Mask __attribute__((vector_size(vector_bytes)));
  return __builtin_shuffle(a, b, Mask{static_cast<IntOf<T>>(lane_of(lane))...});
#endif
}
template <typename T, typename F> DLCORE_INLINE Vec<T> shuffle(Vec<T> a, Vec<T> b, F lane_of) {
  return shuffle<T>(a, b, lane_of, std::make_integer_sequence<int, lanes<T>>{});
}

// Lanes of a 16-byte part, within which x86 interleaves in one instruction.
template <typename T> inline constexpr int part = 16 / static_cast<int>(sizeof(T));

template <typename T, bool high> struct Interleave {  // a0 b0 a1 b1 of the low or high half of each part
  constexpr int operator()(int lane) const {
    const int within = lane % part<T>;
    return lane - within + within / 2 + (high ? part<T> / 2 : 0) + (within % 2 ? lanes<T> : 0);
  }
};

template <typename T, int step, bool high> struct ExchangeParts {  // Eklundh's exchange of parts at distance `step`
  constexpr int operator()(int lane) const {
    const bool second = (lane / part<T> & step) != 0;
    if (high) return second ? lanes<T> + lane : lane + step * part<T>;
    return second ? lanes<T> + lane - step * part<T> : lane;
  }
};

template <typename T, int step> DLCORE_INLINE void exchange_parts(Vec<T> (&v)[lanes<T>]) {
  if constexpr (step < lanes<T> / part<T>) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; ++i) {
      if (i / part<T> & step) continue;
      const Vec<T> a = v[i], b = v[i + step * part<T>];
      v[i] = shuffle<T>(a, b, ExchangeParts<T, step, false>{});
      v[i + step * part<T>] = shuffle<T>(a, b, ExchangeParts<T, step, true>{});
    }
    exchange_parts<T, 2 * step>(v);
  }
}

}  // namespace detail

// Transposes a square of lanes x lanes elements in registers: first each 16-byte part, then the parts among each other.
template <typename T> DLCORE_INLINE void transpose_square(Vec<T> (&v)[lanes<T>]) {
  using namespace detail;
#pragma GCC unroll 16
  for (int round = 1; round < part<T>; round *= 2) {
#pragma GCC unroll 16
    for (int first = 0; first < lanes<T>; first += part<T>) {
      Vec<T> in[part<T>];
#pragma GCC unroll 16
      for (int i = 0; i < part<T>; ++i) in[i] = v[first + i];
#pragma GCC unroll 16
      for (int i = 0; i < part<T> / 2; ++i) {
        v[first + 2 * i] = shuffle<T>(in[i], in[i + part<T> / 2], Interleave<T, false>{});
        v[first + 2 * i + 1] = shuffle<T>(in[i], in[i + part<T> / 2], Interleave<T, true>{});
      }
    }
  }
  exchange_parts<T, 1>(v);
}

// Copies count < most elements.
template <typename T, int most> DLCORE_INLINE void copy_few(T* to, const T* from, Index count) {
  detail::copy_below<static_cast<int>(std::bit_floor(static_cast<unsigned>(most - 1)))>(to, from, count);
}

// Asks for the row's part of the panels that follow while that of one, of `vectors` vectors, is read: no hardware
// prefetcher sees a stride of a row.
template <typename T, int vectors> DLCORE_INLINE void fetch_next_panels(const T* row) {
  constexpr Index ahead = 128 / static_cast<Index>(sizeof(T));
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v += 64 / vector_bytes) __builtin_prefetch(row + ahead + v * lanes<T>);
}

// panel[p][j] = source[p * stride + j], j < count <= width: rows of the source become rows of the panel.
template <typename T, int width> void pack_rows(Index depth, Index count, const T* source, Index stride, T* panel) {
  constexpr int vectors = (width + lanes<T> - 1) / lanes<T>;
  if (count == width && width == vectors * lanes<T>) {
    for (Index p = 0; p < depth; ++p) {
      fetch_next_panels<T, vectors>(source + p * stride);
      std::memcpy(panel + p * width, source + p * stride, width * sizeof(T));
    }
    return;
  }
  // Whole vectors are read, and cut off, where they stay within the source; they spill into the next row of the panel,
  // which is written after it.
  T ones[vectors * lanes<T>] = {};
  for (Index j = 0; j < count; ++j) ones[j] = 1;
  Index p = 0;
  for (const Index size = (depth - 1) * stride + count; p < depth - 1 && p * stride + vectors * lanes<T> <= size; ++p) {
    fetch_next_panels<T, vectors>(source + p * stride);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      const Vec<T> x = load(source + p * stride + v * lanes<T>);
      store(panel + p * width + v * lanes<T>, load(ones + v * lanes<T>) != 0 ? x : Vec<T>{});
    }
  }
  for (; p < depth; ++p) {
    T row[width] = {};
    if (count == width) std::memcpy(row, source + p * stride, sizeof row);
    else copy_few<T, width>(row, source + p * stride, count);
    std::memcpy(panel + p * width, row, sizeof row);
  }
}

// `panels` panels at once, `panel_stride` elements apart, of `height` elements of each row of the source, the first
// `higher` of one more: whole cache lines are used while they are there. Reads whole vectors, up to
// round_up(width, lanes) elements from the start of the last panel's part.
template <typename T, int width>
void pack_row_panels(Index depth, Index panels, Index height, Index higher, const T* source, Index stride, T* to,
                     Index panel_stride) {
  constexpr int vectors = (width + lanes<T> - 1) / lanes<T>;
  for (Index p = 0; p < depth; ++p) {
    const T* from = source + p * stride;
    T* row = to + p * width;
    for (Index i = 0; i < panels; ++i, row += panel_stride) {
      if (p < depth - 1) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) store(row + v * lanes<T>, load(from + v * lanes<T>));
      } else {
        std::memcpy(row, from, width * sizeof(T));
      }
      from += height + (i < higher);
    }
  }
}

// panel[p][j] = source[j * stride + p], j < count <= width: rows of the source become columns of the panel.
template <typename T, int width> void pack_columns(Index depth, Index count, const T* source, Index stride, T* panel) {
  constexpr int groups = (width + lanes<T> - 1) / lanes<T>;
  for (Index p = 0; p < depth; p += lanes<T>) {
    if (p + lanes<T> > depth) {
      if (depth < lanes<T>) break;
      p = depth - lanes<T>;  // the last block overlaps the one before
    }
    Vec<T> square[groups][lanes<T>];
#pragma GCC unroll 4
    for (int g = 0; g < groups; ++g) {
#pragma GCC unroll 16
      for (int i = 0; i < lanes<T>; ++i) {
        const int j = g * lanes<T> + i;
        square[g][i] = j < width && j < count ? load(source + j * stride + p) : Vec<T>{};
      }
      transpose_square<T>(square[g]);
    }
    // A last group wider than the panel spills into the next row, which is written after it; the last row does not.
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; ++i) {
      T* row = panel + (p + i) * width;
#pragma GCC unroll 4
      for (int g = 0; g < groups; ++g) {
        if (g < groups - 1 || width % lanes<T> == 0 || i < lanes<T> - 1) store(row + g * lanes<T>, square[g][i]);
        else std::memcpy(row + g * lanes<T>, &square[g][i], (width % lanes<T>)*sizeof(T));
      }
    }
  }
  if (depth < lanes<T>)
    for (Index p = 0; p < depth; ++p)
      for (int j = 0; j < width; ++j) panel[p * width + j] = j < count ? source[j * stride + p] : T(0);
}

}  // namespace dlcore::DLCORE_DEVICE
