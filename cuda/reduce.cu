#include "../csrc/reduce.h"

#include "../csrc/instances/reduce.h"
#include "../csrc/memory.h"
#include "map.cuh"
#include "team.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Sums are cut into pieces of a fixed length, and the pieces' sums are summed the same way: the error grows with the
// logarithm of the length, and the bits do not depend on the device.
constexpr Index row_piece = 16 * team_block;  // elements of a row
constexpr int tile_columns = 32, tile_rows = 8;
constexpr Index column_piece = 16 * tile_rows;  // rows of a column

template <typename T> struct Element {
  const T* x;
  __device__ T operator()(Index i) const { return x[i]; }
};
template <typename T> struct Product {
  const T *a, *b;
  __device__ T operator()(Index i) const { return a[i] * b[i]; }
};

// partial[row * pieces + piece] = sum of term(row * n + j) over the piece.
template <typename T, int width, typename Term>
__global__ void sum_pieces_kernel(Index items, Index pieces, Index n, Term term, T* partial) {
  using Row = RowTeam<width>;
  for (Index item = Row::first_row(); item < items; item += Row::row_step()) {
    const Index row = item / pieces, first = item % pieces * row_piece;
    const Index end = first + row_piece < n ? first + row_piece : n;
    T sum = 0;
    for (Index j = first + Row::rank(); j < end; j += width) sum += term(row * n + j);
    sum = Row::sum(sum);
    if (Row::rank() == 0) partial[item] = sum;
  }
}

template <typename T, typename Term> void sum_rows(Index rows, Index n, const Term& term, T* y) {
  const Index pieces = ceil_div(n, row_piece), items = rows * pieces;
  const Buffer<T> buffer = pieces > 1 ? Buffer<T>(items) : Buffer<T>();
  T* partial = pieces > 1 ? buffer.data() : y;
  if (n <= short_row)
    launch("sum", sum_pieces_kernel<T, warp_size, Term>, grid_of_teams(items, warp_size), items, pieces, n, term,
           partial);
  else
    launch("sum", sum_pieces_kernel<T, team_block, Term>, grid_of_teams(items, team_block), items, pieces, n, term,
           partial);
  if (pieces > 1) sum_rows(rows, pieces, Element<T>{partial}, y);
}

// partial (outer, pieces, columns): sums of pieces of the columns of x (outer, n, columns).
template <typename T>
__global__ void sum_columns_kernel(Index pieces, Index n, Index columns, Index strips, Index items, const T* x,
                                   T* partial) {
  DLCORE_SHARED(parts, T[tile_rows][tile_columns]);
  const Index thread_column = threadIdx.x;
  for (Index item = blockIdx.x; item < items; item += gridDim.x) {
    const Index column = item % strips * tile_columns + thread_column, piece = item / strips;
    const Index first = piece % pieces * column_piece;
    const Index end = first + column_piece < n ? first + column_piece : n;
    const T* from = x + piece / pieces * n * columns + column;
    T sum = 0;
    if (column < columns)
      for (Index i = first + threadIdx.y; i < end; i += tile_rows) sum += from[i * columns];
    parts[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && column < columns) {
      for (int step = tile_rows / 2; step > 0; step /= 2)
        for (int i = 0; i < step; ++i) parts[i][threadIdx.x] += parts[i + step][threadIdx.x];
      partial[piece * columns + column] = parts[0][threadIdx.x];
    }
    __syncthreads();
  }
}

template <typename T> void sum_columns(Index outer, Index n, Index columns, const T* x, T* y) {
  const Index pieces = ceil_div(n, column_piece), strips = ceil_div(columns, tile_columns);
  const Buffer<T> buffer = pieces > 1 ? Buffer<T>(outer * pieces * columns) : Buffer<T>();
  T* partial = pieces > 1 ? buffer.data() : y;
  const Index items = outer * pieces * strips;
  Grid grid = grid_of_blocks(items, 1);
  grid.threads = dim3(tile_columns, tile_rows);
  launch("sum", sum_columns_kernel<T>, grid, pieces, n, columns, strips, items, x, partial);
  if (pieces > 1) sum_columns(outer, pieces, columns, partial, y);
}

// The more extreme of two, the first NaN, or the earlier of equals.
template <typename T> struct Extreme {
  T value;
  std::int32_t index;
};
template <bool largest> struct MoreExtreme {
  template <typename T> __device__ bool beats(T v, T best) const {
    return (largest ? v > best : v < best) || (v != v && best == best);
  }
  template <typename T> __device__ Extreme<T> operator()(Extreme<T> a, Extreme<T> b) const {
    if (b.index < 0 || a.index < 0) return a.index < 0 ? b : a;
    if (beats(b.value, a.value)) return b;
    if (beats(a.value, b.value)) return a;
    return b.index < a.index ? b : a;
  }
};

template <typename T, int width, bool largest>
__global__ void extreme_rows_kernel(Index rows, Index n, const T* x, T* values, std::int32_t* indices) {
  using Row = RowTeam<width>;
  const MoreExtreme<largest> more;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    Extreme<T> best{T(0), -1};
    for (Index j = Row::rank(); j < n; j += width)
      best = more(best, Extreme<T>{x[row * n + j], static_cast<std::int32_t>(j)});
#pragma unroll
    for (int step = warp_size / 2; step > 0; step /= 2) {
      Extreme<T> other;
      other.value = __shfl_xor_sync(full_warp, best.value, step);
      other.index = __shfl_xor_sync(full_warp, best.index, step);
      best = more(best, other);
    }
    if constexpr (width > warp_size) {
      constexpr int warps = width / warp_size;
      DLCORE_SHARED(parts, Extreme<T>[warps]);
      __syncthreads();
      if (threadIdx.x % warp_size == 0) parts[threadIdx.x / warp_size] = best;
      __syncthreads();
      best = parts[0];
      for (int i = 1; i < warps; ++i) best = more(best, parts[i]);
    }
    if (Row::rank() == 0) {
      values[row] = best.value;
      indices[row] = best.index;
    }
  }
}

template <typename T, bool largest>
__global__ void extreme_columns_kernel(Index outputs, Index n, Index inner, const T* x, T* values,
                                       std::int32_t* indices) {
  const MoreExtreme<largest> more;
  for (Index i = global_thread(); i < outputs; i += global_threads()) {
    const T* from = x + i / inner * n * inner + i % inner;
    T best = from[0];
    std::int32_t position = 0;
    for (Index j = 1; j < n; ++j)
      if (more.beats(from[j * inner], best)) {
        best = from[j * inner];
        position = static_cast<std::int32_t>(j);
      }
    values[i] = best;
    indices[i] = position;
  }
}

template <typename T, bool largest>
void find_extreme(Index outer, Index n, Index inner, const T* x, T* values, std::int32_t* indices) {
  if (inner == 1 && n <= short_row)
    launch("extreme", extreme_rows_kernel<T, warp_size, largest>, grid_of_teams(outer, warp_size), outer, n, x, values,
           indices);
  else if (inner == 1)
    launch("extreme", extreme_rows_kernel<T, team_block, largest>, grid_of_teams(outer, team_block), outer, n, x,
           values, indices);
  else
    launch("extreme", extreme_columns_kernel<T, largest>, grid_over(outer * inner), outer * inner, n, inner, x, values,
           indices);
}

template <typename T, int width> __global__ void logsumexp_kernel(Index rows, Index columns, const T* x, T* y) {
  using Row = RowTeam<width>;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    const T* from = x + row * columns;
    T m = -infinity<T>();
    for (Index j = Row::rank(); j < columns; j += width) m = Larger{}(m, from[j]);
    m = Row::largest(m);
    const T shift = m - m == T(0) ? m : T(0);  // where it is finite, so that nothing overflows
    T sum = 0;
    for (Index j = Row::rank(); j < columns; j += width) sum += std::exp(from[j] - shift);
    sum = Row::sum(sum);
    if (Row::rank() == 0) y[row] = std::log(sum) + shift;
  }
}

template <typename T> struct NotFinite {
  const T* x;
  __device__ bool operator()(Index i) const { return x[i] - x[i] != T(0); }
};
template <typename T> struct Outside {
  using Bound = std::conditional_t<std::is_integral_v<T>, double, T>;
  const T* x;
  Bound low, high;
  __device__ bool operator()(Index i) const { return !(x[i] >= low && x[i] <= high); }
};

}  // namespace

template <typename T> void sum(Index outer, Index n, Index inner, const T* x, T* y) {
  if (outer * inner == 0) return;
  if (n == 0) {
    map("sum", outer * inner, y, Zero<T>{});
  } else if (n == 1) {
    copy_within(y, x, outer * inner * static_cast<Index>(sizeof(T)));
  } else if (inner == 1) {
    sum_rows(outer, n, Element<T>{x}, y);
  } else {
    sum_columns(outer, n, inner, x, y);
  }
}

template <typename T>
void extreme(bool largest, Index outer, Index n, Index inner, const T* x, T* values, std::int32_t* indices) {
  if (largest) find_extreme<T, true>(outer, n, inner, x, values, indices);
  else find_extreme<T, false>(outer, n, inner, x, values, indices);
}

template <typename T> void logsumexp(Index rows, Index columns, const T* x, T* y) {
  DLCORE_LAUNCH_ROWS("logsumexp", logsumexp_kernel, T, rows, columns, rows, columns, x, y);
}

template <typename T> T dot(Index n, const T* a, const T* b) {
  if (n == 0) return 0;
  const Buffer<T> result(1);
  sum_rows(1, n, Product<T>{a, b}, result.data());
  return value_at(result.data());
}

template <typename T> bool all_finite(Index n, const T* x) {
  return first_where("all_finite", n, NotFinite<T>{x}) == n;
}

template <typename T> bool within(Index n, const T* x, double low, double high) {
  using Bound = typename Outside<T>::Bound;
  return first_where("within", n, Outside<T>{x, static_cast<Bound>(low), static_cast<Bound>(high)}) == n;
}

DLCORE_REDUCE_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
