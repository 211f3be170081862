#include "../csrc/movement.h"

#include "../csrc/instances/movement.h"
#include "map.cuh"
#include "team.cuh"
#include "warp2d.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// As index_within: -1 outside [0, limit).
__device__ inline Index index_inside(Index limit, const std::int32_t* place) {
  const Index index = *place;
  return index >= 0 && index < limit ? index : -1;
}

template <typename Word> __global__ void strided_copy_kernel(StridedLayout layout, Index n, const Word* x, Word* y) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    Index rest = i, offset = 0;
    for (int axis = layout.ndim - 1; axis >= 0; --axis) {
      const Index quotient = rest / layout.sizes[axis];
      offset += (rest - quotient * layout.sizes[axis]) * layout.strides[axis];
      rest = quotient;
    }
    y[i] = x[offset];
  }
}

constexpr int tile = 32, tile_lines = 8;

// y (planes, rows, columns) = x (planes, columns, rows) transposed, by tiles in shared memory: both sides are read and
// written along their rows.
template <typename Word>
__global__ void transpose_kernel(Index tiles, Index row_tiles, Index column_tiles, Index rows, Index columns,
                                 const Word* x, Word* y) {
  DLCORE_SHARED(held, Word[tile][tile + 1]);  // + 1: a column's words lie in different banks
  for (Index t = blockIdx.x; t < tiles; t += gridDim.x) {
    const Index row = t / column_tiles % row_tiles * tile, column = t % column_tiles * tile;
    const Index plane = t / column_tiles / row_tiles * rows * columns;
    for (int i = static_cast<int>(threadIdx.y); i < tile; i += tile_lines)
      if (column + i < columns && row + threadIdx.x < rows)
        held[i][threadIdx.x] = x[plane + (column + i) * rows + row + threadIdx.x];
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.y); i < tile; i += tile_lines)
      if (row + i < rows && column + threadIdx.x < columns)
        y[plane + (row + i) * columns + column + threadIdx.x] = held[threadIdx.x][i];
    __syncthreads();
  }
}

template <typename Word>
__global__ void copy_rows_kernel(Index n, Index columns, Own<const Word*> from, Index x_stride, Word* y,
                                 Index y_stride) {
  const Word* const x = from.get();
  for (Index i = global_thread(); i < n; i += global_threads())
    y[i / columns * y_stride + i % columns] = x[i / columns * x_stride + i % columns];
}

template <typename Word>
__global__ void embed_kernel(Index n, Index row, Index before, Index middle, const Word* x, Word* y) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    const Index at = i % row - before;
    y[i] = at >= 0 && at < middle ? x[i / row * middle + at] : Word{0};
  }
}

struct NoRow {
  __device__ long long operator()() const { return -1; }
};

struct OutOfRange {
  const std::int32_t* indices;
  Index limit;
  __device__ bool operator()(Index i) const { return indices[i] < 0 || indices[i] >= limit; }
};

template <typename Word>
__global__ void gather_kernel(Index n, Index x_rows, Index columns, const Word* x, Own<const std::int32_t*> from,
                              Word* y) {
  const std::int32_t* const indices = from.get();
  for (Index i = global_thread(); i < n; i += global_threads()) {
    const Index row = index_inside(x_rows, indices + i / columns);
    y[i] = row < 0 ? Word{0} : x[row * columns + i % columns];
  }
}

// Which of the rows comes last at each place of x.
__global__ void last_at_kernel(Index n, Index x_rows, const std::int32_t* indices, long long* last) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    const Index place = index_inside(x_rows, indices + i);
    if (place >= 0) atomicMax(last + place, static_cast<long long>(i));
  }
}

template <typename Word>
__global__ void assign_rows_kernel(Index n, Index x_rows, Index columns, const std::int32_t* indices,
                                   const long long* last, const Word* rows, Word* x) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    const Index row = i / columns, place = index_inside(x_rows, indices + row);
    if (place >= 0 && last[place] == row) x[place * columns + i % columns] = rows[i];
  }
}

// A thread has a column of y, and adds to it in ascending order.
template <typename T>
__global__ void scatter_add_kernel(Index n, Index y_rows, Index columns, const std::int32_t* indices, const T* rows,
                                   T* y) {
  for (Index j = global_thread(); j < columns; j += global_threads())
    for (Index i = 0; i < n; ++i) {
      const Index index = index_inside(y_rows, indices + i);
      if (index >= 0) y[index * columns + j] += rows[i * columns + j];
    }
}

struct BadCsrRow {
  Index x_rows, columns, stored;
  const std::int32_t *indices, *indptr, *rows;
  __device__ bool operator()(Index i) const {
    const Index row = index_inside(x_rows, rows + i);
    if (row < 0) return true;
    const Index first = indptr[row], last = indptr[row + 1];
    if (first < 0 || last < first || last > stored) return true;
    for (Index p = first; p < last; ++p)
      if (index_inside(columns, indices + p) < 0) return true;
    return false;
  }
};

// A warp has a row, and each lane its columns: entries of equal places are added in their order.
template <typename T>
__global__ void gather_csr_kernel(Index n, Index x_rows, Index columns, Index stored, const T* data,
                                  const std::int32_t* indices, const std::int32_t* indptr, const std::int32_t* rows,
                                  T* y) {
  using Row = RowTeam<warp_size>;
  for (Index i = Row::first_row(); i < n; i += Row::row_step()) {
    for (Index j = Row::rank(); j < columns; j += warp_size) y[i * columns + j] = 0;
    const Index row = index_inside(x_rows, rows + i);
    if (row < 0) continue;
    const Index first = index_inside(stored + 1, indptr + row), last = index_inside(stored + 1, indptr + row + 1);
    for (Index p = first < 0 ? 0 : first; p < last; ++p) {
      const Index column = index_inside(columns, indices + p);
      if (column >= 0 && column % warp_size == Row::rank()) y[i * columns + column] += data[p];
    }
  }
}

template <typename T> __global__ void one_hot_kernel(Index n, Index classes, const std::int32_t* labels, T* y) {
  for (Index i = global_thread(); i < n; i += global_threads()) y[i] = i % classes == labels[i / classes] ? T(1) : T(0);
}

// The planes of a layout that only swaps two neighbouring axes behind others that stay: (planes, columns, rows) of x.
struct Transposition {
  Index planes, rows, columns;
};
bool is_transposition(const StridedLayout& layout, Transposition& t) {
  const int last = layout.ndim - 1;
  if (layout.ndim < 2 || layout.ndim > 3) return false;
  t = {layout.ndim == 3 ? layout.sizes[0] : 1, layout.sizes[last - 1], layout.sizes[last]};
  return layout.strides[last - 1] == 1 && layout.strides[last] == t.rows &&
         (layout.ndim == 2 || layout.strides[0] == t.rows * t.columns);
}

}  // namespace

template <typename Word> void strided_copy(const StridedLayout& layout, const Word* x, Word* y) {
  Index n = 1;
  for (int axis = 0; axis < layout.ndim; ++axis) n *= layout.sizes[axis];
  if (n == 0) return;
  Transposition t;
  if (!is_transposition(layout, t))
    return launch("strided_copy", strided_copy_kernel<Word>, grid_over(n), layout, n, x, y);
  const Index row_tiles = ceil_div(t.rows, tile), column_tiles = ceil_div(t.columns, tile);
  const Index tiles = t.planes * row_tiles * column_tiles;
  Grid grid = grid_of_blocks(tiles, 1);
  grid.threads = dim3(tile, tile_lines);
  launch("transpose", transpose_kernel<Word>, grid, tiles, row_tiles, column_tiles, t.rows, t.columns, x, y);
}

template <typename Word>
void copy_rows(Index rows, Index columns, const Word* x, Index x_stride, Word* y, Index y_stride) {
  const Index n = rows * columns;
  launch("copy_rows", copy_rows_kernel<Word>, grid_over(n), n, columns, own(x), x_stride, y, y_stride);
}

template <typename Word>
void embed(Index outer, Index length, Index inner, Index start, Index count, const Word* x, Word* y) {
  const Index row = length * inner, n = outer * row;
  launch("embed", embed_kernel<Word>, grid_over(n), n, row, start * inner, count * inner, x, y);
}

BadIndex first_out_of_range(Index n, const std::int32_t* indices, Index limit) {
  const Index first = first_where("first_out_of_range", n, OutOfRange{indices, limit});
  return {first, first < n ? value_at(indices, first) : 0};
}

template <typename Word>
void gather(Index n, Index x_rows, Index columns, const Word* x, const std::int32_t* indices, Word* y) {
  launch("gather", gather_kernel<Word>, grid_over(n * columns), n * columns, x_rows, columns, x, own(indices), y);
}

template <typename Word>
void assign_rows(Index n, Index x_rows, Index columns, const std::int32_t* indices, const Word* rows, Word* x) {
  if (n == 0 || columns == 0 || x_rows == 0) return;
  const Buffer<long long> last(x_rows);
  map("assign_rows", x_rows, last.data(), NoRow{});
  launch("assign_rows", last_at_kernel, grid_over(n), n, x_rows, indices, last.data());
  launch("assign_rows", assign_rows_kernel<Word>, grid_over(n * columns), n * columns, x_rows, columns, indices,
         static_cast<const long long*>(last.data()), rows, x);
}

template <typename T>
void scatter_add(Index n, Index y_rows, Index columns, const std::int32_t* indices, const T* rows, T* y) {
  launch("scatter_add", scatter_add_kernel<T>, grid_over(columns, 1, 64), n, y_rows, columns, indices, rows, y);
}

Index first_bad_csr_row(Index n, Index x_rows, Index columns, Index stored, const std::int32_t* indices,
                        const std::int32_t* indptr, const std::int32_t* rows) {
  return first_where("gather_csr", n, BadCsrRow{x_rows, columns, stored, indices, indptr, rows});
}

template <typename T>
void gather_csr(Index n, Index x_rows, Index columns, Index stored, const T* data, const std::int32_t* indices,
                const std::int32_t* indptr, const std::int32_t* rows, T* y) {
  if (columns == 0) return;
  launch("gather_csr", gather_csr_kernel<T>, grid_of_teams(n, warp_size), n, x_rows, columns, stored, data, indices,
         indptr, rows, y);
}

template <typename T> void one_hot(Index n, Index classes, const std::int32_t* labels, T* y) {
  launch("one_hot", one_hot_kernel<T>, grid_over(n * classes), n * classes, classes, labels, y);
}

template <typename T> void warp2d(const WarpShape& s, const T* x, const T* maps, const T* field, T fill, T* y) {
  if (s.channels == 0) return;
  const Index n = s.batch * s.height * s.width;
  launch("warp2d", warp2d_kernel<T>, grid_over(n), s, n, x, maps, field, fill, y);
}

template <typename T> void warp2d_grad(const WarpShape& s, const T* dy, const T* maps, const T* field, T* dx) {
  const Index planes = s.batch * s.channels;
  if (s.height * s.width == 0) return;
  launch("warp2d_grad", warp2d_grad_kernel<T>, grid_of_blocks(planes, team_block), s, planes, dy, maps, field, dx);
}

DLCORE_MOVEMENT_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
