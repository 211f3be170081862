// Copies that reorder, repeat, cut or join arrays. Movement does not look at the elements: it is written for 4-byte
// (std::uint32_t) and 8-byte (std::uint64_t) words. Only scatter_add, gather_csr and the warps compute.
#pragma once

#include <algorithm>

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// An output of sizes[0..ndim) in row-major order, and the input's stride in elements along each of its axes (0 where
// it is repeated). Neighbouring axes are merged where the input allows it, axes of size 1 dropped. ndim >= 1.
struct StridedLayout {
  int ndim;
  Index sizes[max_ndim];
  Index strides[max_ndim];
};

template <typename Word> void strided_copy(const StridedLayout& layout, const Word* x, Word* y);

// y[i][0..columns) = x[i][0..columns) for `rows` rows that start x_stride and y_stride elements apart.
template <typename Word>
void copy_rows(Index rows, Index columns, const Word* x, Index x_stride, Word* y, Index y_stride);

// y (outer, length, inner) = 0, except y[:, start : start + count] = x (outer, count, inner).
template <typename Word>
void embed(Index outer, Index length, Index inner, Index start, Index count, const Word* x, Word* y);

// The first element of `indices` outside [0, limit); position == n where there is none.
struct BadIndex {
  Index position;
  std::int32_t value;
};
BadIndex first_out_of_range(Index n, const std::int32_t* indices, Index limit);

// The index at `place`, read once, or -1 where it lies outside [0, limit). The binding has checked them all, but
// another thread may have changed shared memory since: that may give wrong numbers, never a stray access.
inline Index index_within(Index limit, const std::int32_t* place) {
  const std::int32_t index = __atomic_load_n(place, __ATOMIC_RELAXED);
  return index < limit ? std::max(index, -1) : -1;
}

// y[i] = x[indices[i]], rows of `columns` elements out of `x_rows`.
template <typename Word>
void gather(Index n, Index x_rows, Index columns, const Word* x, const std::int32_t* indices, Word* y);

// x[indices[i]] = rows[i], in place; of equal indices the last counts. An index outside [0, x_rows) is passed over.
template <typename Word>
void assign_rows(Index n, Index x_rows, Index columns, const std::int32_t* indices, const Word* rows, Word* x);

// y[indices[i]] += rows[i], for i in ascending order, into y (y_rows, columns); T is float or double.
template <typename T>
void scatter_add(Index n, Index y_rows, Index columns, const std::int32_t* indices, const T* rows, T* y);

// y[i] = row rows[i] of a sparse matrix of x_rows rows in compressed rows: zeros to which data[p] is added at
// indices[p], p from indptr[row] to indptr[row + 1] of `stored` entries. T is float or double.
template <typename T>
void gather_csr(Index n, Index x_rows, Index columns, Index stored, const T* data, const std::int32_t* indices,
                const std::int32_t* indptr, const std::int32_t* rows, T* y);

// The first of these rows that is not within the matrix, or has a column that is not; n where there is none.
Index first_bad_csr_row(Index n, Index x_rows, Index columns, Index stored, const std::int32_t* indices,
                        const std::int32_t* indptr, const std::int32_t* rows);

// y (n, classes); T is float, double or std::int32_t.
template <typename T> void one_hot(Index n, Index classes, const std::int32_t* labels, T* y);

// NCHW images whose pixels come from elsewhere in the image: the output's (i, j) from the row and column
// map (i, j, 1) + field (i, j), by bilinear interpolation. maps (batch, 2, 3); field (batch, 2, height, width), rows
// first, or null. Around the image all is `fill`; a coordinate that is NaN gives NaN.
struct WarpShape {
  Index batch, channels, height, width;
};
template <typename T> void warp2d(const WarpShape& shape, const T* x, const T* maps, const T* field, T fill, T* y);
template <typename T> void warp2d_grad(const WarpShape& shape, const T* dy, const T* maps, const T* field, T* dx);

}  // namespace dlcore::DLCORE_DEVICE
