// The micro-kernel of matrix multiplication: a tile of C, at most MR x NR, kept in registers while it runs over the
// depth.
#pragma once

#include <algorithm>
#include <utility>

#include "../types.h"
#include "../vec.h"
#include "pack.h"

namespace dlcore::DLCORE_DEVICE {

// Tile shapes fill the register file: accumulators, one row of B, one broadcast element of A.
template <typename T> struct Tile {
#if defined(__AVX512F__)
  static constexpr int rows = 14, vectors = 2;  // 28 accumulators of 32 registers
#elif defined(__AVX__)
  static constexpr int rows = 6, vectors = 2;  // 12 of 16
#elif defined(__aarch64__)
  static constexpr int rows = 8, vectors = 3;  // 24 of 32
#else
  static constexpr int rows = 4, vectors = 2;  // 8 of 16: without FMA a product needs a register too
#endif
  static constexpr int columns = vectors * lanes<T>;
};

template <typename T> inline constexpr int MR = Tile<T>::rows;
template <typename T> inline constexpr int NR = Tile<T>::columns;

// Rows in panels of at most `most`, as equal as possible: no panel is so low that its few chains run at latency.
struct RowPanels {
  Index count, height, higher;  // the first `higher` panels have one row more
  RowPanels(Index rows, Index most) : count(ceil_div(rows, most)), height(rows / count), higher(rows % count) {}
  Index begin(Index panel) const { return panel * height + std::min(panel, higher); }
  int rows(Index panel) const { return static_cast<int>(height + (panel < higher)); }
};

// Rows of A: element (row i, depth p) is data[i + p * stride] where the rows lie side by side (packed panels, A
// transposed), data[i * stride + p] where each row is contiguous.
template <typename T> struct RowsOfA {
  const T* data;
  Index stride;
  bool contiguous_rows;
};

// Columns of B: element (depth p, column j) is data[p * stride + j]; all of the tile's columns are readable.
template <typename T> struct ColumnsOfB {
  const T* data;
  Index stride;
};

// How tiles read columns of B. In passing: the first tile reads them where they lie, in whole rows, and packs them for
// those that follow.
enum class PlaceOfB { packed, packed_in_passing, in_place };

// Some elements of a matrix in rows `stride` apart, in place or in a workspace.
template <typename T> struct StepSource {
  const T* data;
  Index stride;
};

// Where a tile goes: c = alpha * product + beta * c; c is not read when beta is 0.
template <typename T> struct TileTarget {
  T* c;
  Index stride;
  T alpha, beta;
  T* packed_b = nullptr;  // [depth][NR], where a packing kernel leaves the columns of B
};

namespace detail {

// `packs`: each row of B is read where it lies, used, and stored for the tiles that follow.
template <typename T, int rows, int vectors, bool contiguous_rows, bool packs>
__attribute__((noinline)) void multiply_tile(Index depth, const T* a, Index a_stride, const T* b, Index b_stride,
                                             const TileTarget<T>& target) {
  T* packed = target.packed_b;
  Vec<T> sum[rows][vectors] = {};
  // All cache lines of C are asked for (of vectors of 16 bytes the first): its rows may begin anywhere in one.
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j <= vectors; j += 64 / vector_bytes)
      __builtin_prefetch(target.c + i * target.stride + std::min(j * lanes<T>, vectors * lanes<T> - 1), 1);
  }
#pragma GCC unroll 4
  for (Index p = 0; p < depth; ++p) {
    Vec<T> row[vectors];
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) row[j] = load(b + j * lanes<T>);
    if (packs) {
      fetch_next_panels<T, vectors>(b);
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) store(packed + j * lanes<T>, row[j]);
      packed += vectors * lanes<T>;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
      const Vec<T> element = splat(contiguous_rows ? a[i * a_stride + p] : a[i]);
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) sum[i][j] += element * row[j];
    }
    if (!contiguous_rows) a += a_stride;
    b += b_stride;
  }
  T* c = target.c;
  const T alpha = target.alpha, beta = target.beta;
  if (beta == T(0)) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i, c += target.stride)
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) store(c + j * lanes<T>, alpha * sum[i][j]);
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i, c += target.stride)
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) store(c + j * lanes<T>, alpha * sum[i][j] + beta * load(c + j * lanes<T>));
  }
}

template <typename T>
using TileKernel = void (*)(Index depth, const T* a, Index a_stride, const T* b, Index b_stride,
                            const TileTarget<T>& target);

template <typename T> struct TileKernels {
  TileKernel<T> of_rows[MR<T>];
  template <int vectors, bool contiguous_rows, bool packs, int... i>
  static constexpr TileKernels make(std::integer_sequence<int, i...>) {
    return {{multiply_tile<T, i + 1, vectors, contiguous_rows, packs>...}};
  }
  template <int vectors, bool contiguous_rows, bool packs = false>
  static constexpr TileKernels all = make<vectors, contiguous_rows, packs>(std::make_integer_sequence<int, MR<T>>{});
};

}  // namespace detail

// The kernel for tiles of `rows` rows and NR columns, or one vector of columns if `narrow`. Each element of C is one
// chain of multiply-adds in the order of the depth, whatever the tile.
template <typename T> DLCORE_INLINE detail::TileKernel<T> tile_kernel(int rows, bool narrow, bool contiguous_rows) {
  using Kernels = detail::TileKernels<T>;
  constexpr int vectors = Tile<T>::vectors;
  const Kernels& kernels = contiguous_rows
                               ? (narrow ? Kernels::template all<1, true> : Kernels::template all<vectors, true>)
                               : (narrow ? Kernels::template all<1, false> : Kernels::template all<vectors, false>);
  return kernels.of_rows[rows - 1];
}

// The same for rows of A that are packed, leaving the columns of B in target.packed_b.
template <typename T> DLCORE_INLINE detail::TileKernel<T> packing_tile_kernel(int rows) {
  return detail::TileKernels<T>::template all<Tile<T>::vectors, false, true>.of_rows[rows - 1];
}

}  // namespace dlcore::DLCORE_DEVICE
