#include "movement.h"

#include <algorithm>
#include <cstring>

#include "instances/movement.h"
#include "movement_warp.h"
#include "parallel.h"
#include "vec.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <typename Word> DLCORE_INLINE void copy_run(const Word* x, Word* y, Index n) {
  if (n > 0) std::memcpy(y, x, static_cast<std::size_t>(n) * sizeof(Word));
}

// A position in the outer axes of a layout: the input's offset, advanced one row-major step at a time.
struct Odometer {
  const StridedLayout& layout;
  int ndim;  // of the axes counted over
  Index position[max_ndim] = {};
  Index offset = 0;

  Odometer(const StridedLayout& outer, int axes, Index start) : layout(outer), ndim(axes) {
    for (int axis = ndim - 1; axis >= 0; --axis) {
      position[axis] = start % layout.sizes[axis];
      start /= layout.sizes[axis];
      offset += position[axis] * layout.strides[axis];
    }
  }
  void advance() {
    for (int axis = ndim - 1; axis >= 0; --axis) {
      offset += layout.strides[axis];
      if (++position[axis] < layout.sizes[axis]) return;
      offset -= layout.sizes[axis] * layout.strides[axis];
      position[axis] = 0;
    }
  }
};

Index outer_count(const StridedLayout& layout, int axes) {
  Index n = 1;
  for (int axis = 0; axis < axes; ++axis) n *= layout.sizes[axis];
  return n;
}

// Rows that are copied, repeated or gathered with a stride. A long row is cut so that one row alone can use threads.
template <typename Word> void copy_runs(const StridedLayout& layout, const Word* x, Word* y) {
  const int last = layout.ndim - 1;
  const Index columns = layout.sizes[last], stride = layout.strides[last];
  const Index pieces = ceil_div(columns, elementwise_grain), rows = outer_count(layout, last);
  const Index grain = std::max<Index>(1, elementwise_grain / std::min(columns, elementwise_grain));
  parallel_for(rows * pieces, grain, [&](Index begin, Index end) {
    Odometer row(layout, last, begin / pieces);
    for (Index item = begin, piece = begin % pieces; item < end; ++item) {
      const Index first = piece * elementwise_grain, n = std::min(elementwise_grain, columns - first);
      const Word* from = x + row.offset + first * stride;
      Word* to = y + item / pieces * columns + first;
      if (stride == 1) {
        copy_run(from, to, n);
      } else if (stride == 0) {
        std::fill_n(to, n, *from);
      } else {
        for (Index j = 0; j < n; ++j) to[j] = from[j * stride];
      }
      if (++piece == pieces) {
        piece = 0;
        row.advance();
      }
    }
  });
}

constexpr Index tile = 16;  // words a side: a tile's rows are 64 or 128 bytes, whole cache lines

// y[i][j] = x[j][i] for a whole tile. Lines pass through a buffer: with strides that are multiples of 4096 bytes, lines
// used one element at a time would push each other out of the cache.
template <typename Word> DLCORE_INLINE void transpose_tile(const Word* x, Index x_stride, Word* y, Index y_stride) {
  Word buffer[tile][tile];
  for (Index j = 0; j < tile; ++j) copy_run(x + j * x_stride, buffer[j], tile);
  for (Index i = 0; i < tile; ++i)
    for (Index j = 0; j < tile; ++j) y[i * y_stride + j] = buffer[j][i];
}

template <typename Word>
DLCORE_INLINE void transpose_part(Index rows, Index columns, const Word* x, Index x_stride, Word* y, Index y_stride) {
  for (Index j = 0; j < columns; ++j)
    for (Index i = 0; i < rows; ++i) y[i * y_stride + j] = x[j * x_stride + i];
}

// The input runs along axis `from` where the output runs along the last: tiles of these two, for every position of the
// other axes.
template <typename Word> void transpose_planes(const StridedLayout& layout, int from, const Word* x, Word* y) {
  const int last = layout.ndim - 1;
  const Index rows = layout.sizes[from], columns = layout.sizes[last], x_stride = layout.strides[last];
  StridedLayout planes{0, {}, {}};  // the other axes: strides of x
  Index y_strides[max_ndim] = {}, y_stride = columns, y_row_stride = 0;
  for (int axis = last - 1; axis >= 0; --axis) {
    if (axis == from) y_row_stride = y_stride;
    y_strides[axis] = y_stride;
    y_stride *= layout.sizes[axis];
  }
  for (int axis = 0, plane_axis = 0; axis < last; ++axis) {
    if (axis == from) continue;
    planes.sizes[plane_axis] = layout.sizes[axis];
    planes.strides[plane_axis] = layout.strides[axis];
    y_strides[plane_axis++] = y_strides[axis];
    planes.ndim = plane_axis;
  }
  const Index row_tiles = ceil_div(rows, tile), column_tiles = ceil_div(columns, tile);
  const Index strips = outer_count(planes, planes.ndim) * row_tiles;
  const Index work = tile * columns;  // words of a strip: `tile` rows of one plane of y
  parallel_for(strips, std::max<Index>(1, elementwise_grain / work), [&](Index begin, Index end) {
    Odometer plane(planes, planes.ndim, begin / row_tiles);
    for (Index strip = begin; strip < end; ++strip) {
      const Index i = strip % row_tiles * tile, strip_rows = std::min(tile, rows - i);
      Index y_offset = i * y_row_stride;
      for (int axis = 0; axis < planes.ndim; ++axis) y_offset += plane.position[axis] * y_strides[axis];
      for (Index t = 0; t < column_tiles; ++t) {
        const Index j = t * tile, tile_columns = std::min(tile, columns - j);
        const Word* source = x + plane.offset + i + j * x_stride;
        Word* target = y + y_offset + j;
        if (strip_rows == tile && tile_columns == tile) transpose_tile(source, x_stride, target, y_row_stride);
        else transpose_part(strip_rows, tile_columns, source, x_stride, target, y_row_stride);
      }
      if (strip % row_tiles == row_tiles - 1) plane.advance();
    }
  });
}

}  // namespace

template <typename Word> void strided_copy(const StridedLayout& layout, const Word* x, Word* y) {
  if (outer_count(layout, layout.ndim) == 0) return;
  const int last = layout.ndim - 1;
  if (layout.strides[last] > 1)
    for (int axis = 0; axis < last; ++axis)
      if (layout.strides[axis] == 1) return transpose_planes(layout, axis, x, y);
  copy_runs(layout, x, y);
}

template <typename Word>
void copy_rows(Index rows, Index columns, const Word* x, Index x_stride, Word* y, Index y_stride) {
  if (columns == 0) return;
  if (columns == x_stride && columns == y_stride) {  // one run
    return parallel_for(rows * columns, elementwise_grain,
                        [&](Index begin, Index end) { copy_run(x + begin, y + begin, end - begin); });
  }
  const Index grain = std::max<Index>(1, elementwise_grain / columns);
  parallel_for(rows, grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) copy_run(x + i * x_stride, y + i * y_stride, columns);
  });
}

template <typename Word>
void embed(Index outer, Index length, Index inner, Index start, Index count, const Word* x, Word* y) {
  const Index before = start * inner, middle = count * inner, row = length * inner;
  if (row == 0) return;
  parallel_for(outer, std::max<Index>(1, elementwise_grain / row), [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      Word* to = y + i * row;
      std::fill_n(to, before, Word{0});
      copy_run(x + i * middle, to + before, middle);
      std::fill_n(to + before + middle, row - before - middle, Word{0});
    }
  });
}

BadIndex first_out_of_range(Index n, const std::int32_t* indices, Index limit) {
  const auto bound = static_cast<std::uint32_t>(std::min<Index>(limit, std::int64_t{1} << 31));
  constexpr Index block = 1024;
  for (Index begin = 0; begin < n; begin += block) {
    const Index end = std::min(n, begin + block);
    std::uint32_t largest = 0;
    for (Index i = begin; i < end; ++i) largest = std::max(largest, static_cast<std::uint32_t>(indices[i]));
    if (largest < bound) continue;  // negatives wrap
    for (Index i = begin; i < end; ++i)
      if (static_cast<std::uint32_t>(indices[i]) >= bound) return {i, indices[i]};
  }
  return {n, 0};
}

template <typename Word>
void gather(Index n, Index x_rows, Index columns, const Word* x, const std::int32_t* indices, Word* y) {
  if (columns == 0) return;
  parallel_for(n, std::max<Index>(1, elementwise_grain / columns), [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index row = index_within(x_rows, indices + i);
      if (row < 0) std::fill_n(y + i * columns, columns, Word{0});
      else if (columns == 1) y[i] = x[row];
      else copy_run(x + row * columns, y + i * columns, columns);
    }
  });
}

// Threads share out columns, so that each element of y has one owner that adds in ascending order.
template <typename T>
void scatter_add(Index n, Index y_rows, Index columns, const std::int32_t* indices, const T* rows, T* y) {
  constexpr Index cache_line = 64 / static_cast<Index>(sizeof(T));
  if (n == 0) return;
  parallel_for(columns, std::max(cache_line, round_up(elementwise_grain / n, cache_line)), [&](Index begin, Index end) {
    for (Index i = 0; i < n; ++i) {
      const Index index = index_within(y_rows, indices + i);
      if (index < 0) continue;
      T* target = y + index * columns;
      const T* row = rows + i * columns;
      for (Index j = begin; j < end; ++j) target[j] += row[j];
    }
  });
}

template <typename Word>
void assign_rows(Index n, Index x_rows, Index columns, const std::int32_t* indices, const Word* rows, Word* x) {
  constexpr Index cache_line = 64 / static_cast<Index>(sizeof(Word));
  if (n == 0) return;
  parallel_for(columns, std::max(cache_line, round_up(elementwise_grain / n, cache_line)), [=](Index begin, Index end) {
    for (Index i = 0; i < n; ++i) {
      const Index index = index_within(x_rows, indices + i);
      if (index >= 0) std::copy(rows + i * columns + begin, rows + i * columns + end, x + index * columns + begin);
    }
  });
}

Index first_bad_csr_row(Index n, Index x_rows, Index columns, Index stored, const std::int32_t* indices,
                        const std::int32_t* indptr, const std::int32_t* rows) {
  for (Index i = 0; i < n; ++i) {
    const Index row = index_within(x_rows, rows + i);
    if (row < 0) return i;
    const Index first = indptr[row], last = indptr[row + 1];
    if (first < 0 || last < first || last > stored) return i;
    if (first_out_of_range(last - first, indices + first, columns).position < last - first) return i;
  }
  return n;
}

template <typename T>
void gather_csr(Index n, Index x_rows, Index columns, Index stored, const T* data, const std::int32_t* indices,
                const std::int32_t* indptr, const std::int32_t* rows, T* y) {
  if (columns == 0) return;
  parallel_for(n, std::max<Index>(1, elementwise_grain / columns), [=](Index begin, Index end) {
    std::fill_n(y + begin * columns, (end - begin) * columns, T{0});
    for (Index i = begin; i < end; ++i) {
      const Index row = index_within(x_rows, rows + i);
      if (row < 0) continue;
      const Index first = index_within(stored + 1, indptr + row), last = index_within(stored + 1, indptr + row + 1);
      for (Index p = std::max<Index>(first, 0); p < last; ++p) {
        const Index column = index_within(columns, indices + p);
        if (column >= 0) y[i * columns + column] += data[p];
      }
    }
  });
}

template <typename T> void one_hot(Index n, Index classes, const std::int32_t* labels, T* y) {
  if (classes == 0) return;
  parallel_for(n, std::max<Index>(1, elementwise_grain / classes), [&](Index begin, Index end) {
    std::fill_n(y + begin * classes, (end - begin) * classes, T{0});
    for (Index i = begin; i < end; ++i) {
      const Index label = index_within(classes, labels + i);
      if (label >= 0) y[i * classes + label] = T{1};
    }
  });
}

DLCORE_MOVEMENT_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
