// Rows of exponentials for softmax and its losses: the row's maximum m and the sum of e^(x - m), two ways.
// Wide rows run along the columns. Rows of at most `narrow_columns` run side by side, one in each lane of a tile
// (tile[j * lanes + r] is column j of row r), so that short rows waste no lanes and share one logarithm.
#pragma once

#include <algorithm>

#include "parallel.h"
#include "vecmath.h"

namespace dlcore::DLCORE_DEVICE {

inline constexpr Index narrow_columns = 64;

template <typename T> struct alignas(64) Tile {
  T data[narrow_columns * lanes<T>];
  DLCORE_INLINE Vec<T> operator[](Index column) const { return load(data + column * lanes<T>); }
  DLCORE_INLINE void set(Index column, Vec<T> v) { store(data + column * lanes<T>, v); }
};

// Lanes beyond `rows` are zero.
template <typename T>
__attribute__((noinline)) void load_tile(Index rows, Index columns, const T* __restrict__ x,
                                         Tile<T>& __restrict__ tile) {
  if (rows == lanes<T>) {
    for (Index j = 0; j < columns; ++j)
      for (int r = 0; r < lanes<T>; ++r) tile.data[j * lanes<T> + r] = x[r * columns + j];
    return;
  }
  std::fill(tile.data, tile.data + columns * lanes<T>, T{0});
  for (Index r = 0; r < rows; ++r)
    for (Index j = 0; j < columns; ++j) tile.data[j * lanes<T> + r] = x[r * columns + j];
}
template <typename T>
__attribute__((noinline)) void store_tile(Index rows, Index columns, const Tile<T>& __restrict__ tile,
                                          T* __restrict__ y) {
  if (rows == lanes<T>) {
    for (Index j = 0; j < columns; ++j)
      for (int r = 0; r < lanes<T>; ++r) y[r * columns + j] = tile.data[j * lanes<T> + r];
    return;
  }
  for (Index r = 0; r < rows; ++r)
    for (Index j = 0; j < columns; ++j) y[r * columns + j] = tile.data[j * lanes<T> + r];
}

// Calls narrow(first_row, rows) for up to lanes<T> rows at a time, or wide(row), in parallel over the rows.
template <typename T, typename Narrow, typename Wide>
void for_rows(Index rows, Index columns, const Narrow& narrow, const Wide& wide) {
  constexpr Index work = 8192;  // elements in a chunk: about 10 microseconds
  const Index grain = round_up(std::max<Index>(1, work / std::max<Index>(1, columns)), lanes<T>);
  parallel_for(rows, grain, [&](Index begin, Index end) {
    if (columns <= narrow_columns)
      for (Index row = begin; row < end; row += lanes<T>) narrow(row, std::min<Index>(lanes<T>, end - row));
    else
      for (Index row = begin; row < end; ++row) wide(row);
  });
}

template <typename T> using Mask = Vec<IntOf<T>>;

// All lanes but those of the vector before, where the last vector of n > lanes elements overlaps it.
template <typename T> DLCORE_INLINE Mask<T> last_lanes(Index n) {
  Mask<T> lane;
  for (int i = 0; i < lanes<T>; ++i) lane[i] = i;
  return lane >= splat<IntOf<T>>(static_cast<IntOf<T>>((lanes<T> - n % lanes<T>) % lanes<T>));
}

// Folds a wide row's vectors into four independent states, which hides the latency of the additions; `pad` stands for
// elements the last vector repeats. body(state, vectors...).
template <typename T, typename State, typename Body, typename... Inputs>
DLCORE_INLINE void fold_columns(Index n, State (&states)[4], T pad, const Body& body, const Inputs*... x) {
  Index i = 0;
  for (; i + 4 * lanes<T> <= n; i += 4 * lanes<T>) {
    body(states[0], load(x + i)...);
    body(states[1], load(x + i + lanes<T>)...);
    body(states[2], load(x + i + 2 * lanes<T>)...);
    body(states[3], load(x + i + 3 * lanes<T>)...);
  }
  for (; i + lanes<T> <= n; i += lanes<T>) body(states[0], load(x + i)...);
  if (i == n) return;
  const Mask<T> live = last_lanes<T>(n);
  body(states[1], (live ? load(x + n - lanes<T>) : splat<T>(pad))...);
}

template <typename T> DLCORE_INLINE T sum_states(const Vec<T> (&states)[4]) {
  return horizontal_sum<T>((states[0] + states[1]) + (states[2] + states[3]));
}

// NaN is passed over here: it comes back with x - m.
template <typename T> DLCORE_INLINE Vec<T> larger(Vec<T> a, Vec<T> b) { return b > a ? b : a; }

template <typename T> DLCORE_INLINE T row_max(Index n, const T* x) {
  const Vec<T> low = splat<T>(-detail::infinity<T>);
  Vec<T> states[4] = {low, low, low, low};
  fold_columns<T>(n, states, -detail::infinity<T>, [](Vec<T>& m, Vec<T> v) { m = larger<T>(m, v); }, x);
  const Vec<T> m = larger<T>(larger<T>(states[0], states[1]), larger<T>(states[2], states[3]));
  T result = m[0];
  for (int i = 1; i < lanes<T>; ++i) result = m[i] > result ? m[i] : result;
  return result;
}
template <typename T> DLCORE_INLINE Vec<T> tile_max(Index columns, const Tile<T>& tile) {
  Vec<T> m = splat<T>(-detail::infinity<T>);
  for (Index j = 0; j < columns; ++j) m = larger<T>(m, tile[j]);
  return m;
}

// For x - m, which is never above 0.
template <typename T> DLCORE_INLINE Vec<T> exp_shifted(Vec<T> d) {
  return detail::exp_in_range<T>(detail::at_least<T>(d, detail::Format<T>::exp_low));
}

// Sum of e^d over a row, d = x - m, without one of the elements that are 1: log(sum) = log1p(rest) keeps the small
// losses of confident predictions. NaN where a d is.
template <typename T> struct RestSum {
  Vec<T> sum{};
  Mask<T> ones{};
  DLCORE_INLINE void add(Vec<T> d, Vec<T> e) {
    const Mask<T> top = d == Vec<T>{};
    sum += top ? Vec<T>{} : e;
    ones -= top;
  }
  DLCORE_INLINE Vec<T> in_each_lane() const { return sum + __builtin_convertvector(ones - 1, Vec<T>); }
  DLCORE_INLINE T across_lanes() const {
    IntOf<T> count = -1;
    for (int i = 0; i < lanes<T>; ++i) count += ones[i];
    return horizontal_sum<T>(sum) + static_cast<T>(count);
  }
};

// The rest of a wide row. visit(i, live, d, e) sees each vector of it; the last one repeats elements of the one before,
// and its lanes that count are `live`.
template <typename T, typename Visit>
DLCORE_INLINE T exponentials_of_row(Index n, const T* x, Vec<T> m, const Visit& visit) {
  constexpr Index block = 64 * lanes<T>;  // sums of blocks are added up: the error grows with the root of the length
  const Index whole = n - n % lanes<T>;
  RestSum<T> rest;
  for (Index begin = 0; begin < whole; begin += block) {
    const Index end = std::min(begin + block, whole);
    Vec<T> sum = rest.sum;
    rest.sum = Vec<T>{};
    for (Index i = begin; i < end; i += lanes<T>) {
      const Vec<T> d = load(x + i) - m, e = exp_shifted<T>(d);
      visit(i, Mask<T>{} - 1, d, e);
      rest.add(d, e);
    }
    rest.sum += sum;
  }
  if (whole < n) {
    const Mask<T> live = last_lanes<T>(n);
    const Vec<T> d = load(x + n - lanes<T>) - m, e = exp_shifted<T>(d);
    visit(n - lanes<T>, live, d, e);
    rest.add(live ? d : splat<T>(-1), live ? e : Vec<T>{});
  }
  return rest.across_lanes();
}

template <typename T> DLCORE_INLINE Vec<T> load_lanes(const T* p, Index count) {
  return count == lanes<T> ? load(p) : load_partial(p, count);
}
template <typename T> DLCORE_INLINE void store_lanes(T* p, Vec<T> v, Index count) {
  count == lanes<T> ? store(p, v) : store_partial(p, v, count);
}

// log1p of one number, with the bits of the vector function.
template <typename T> DLCORE_INLINE T scalar_log1p(T x) { return vlog1p<T>(splat<T>(x))[0]; }

}  // namespace dlcore::DLCORE_DEVICE
