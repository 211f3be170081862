// The Problem of matmul/gemm.h that is a product of two matrices, with its epilogue.
#pragma once

#include <algorithm>

#include "../activation_vec.h"
#include "../matmul.h"
#include "../types.h"
#include "amx.h"
#include "kernel.h"
#include "pack.h"

namespace dlcore::DLCORE_DEVICE {

// activation(x + bias) on rows of `vectors` vectors, `stride` elements apart.
template <typename T, int vectors>
__attribute__((noinline)) void apply_epilogue(const Epilogue<T>& epilogue, const Vec<T>* bias, Index rows, T* x,
                                              Index stride) {
  with_activation(epilogue.activation, [&](auto kind) {
    for (Index i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) {
        T* to = x + i * stride + j * lanes<T>;
        store(to, activate<kind(), T>(load(to) + bias[j], epilogue.parameter));
      }
  });
}

template <typename T> bool has_effect(const Epilogue<T>& epilogue) {
  return epilogue.bias || epilogue.activation != Activation::identity;
}

template <typename T> struct MatrixProduct {
  Index rows, depth, panels, n;
  Index ldc;
  T alpha, beta;
  bool transpose_a, transpose_b;
  const T* a;
  const T* b;
  T* out;
  const Epilogue<T>& epilogue;
  static constexpr bool has_finish = true;
  // A matrix of so many elements is read where it is: all of it stays in the L1 cache.
  static constexpr Index direct_size = 16384 / sizeof(T);

  Index columns(Index panel) const { return std::min<Index>(NR<T>, n - panel * NR<T>); }
  T* c(Index panel) const { return out + panel * NR<T>; }

  void pack_a(Index row, Index count, Index p, Index depth_, T* to) const {
    if (transpose_a) pack_rows<T, MR<T>>(depth_, count, a + p * rows + row, rows, to);
    else pack_columns<T, MR<T>>(depth_, count, a + row * depth + p, depth, to);
  }

  void pack_a_panels(const RowPanels& all, Index first, Index count, Index p, Index depth_, T* to, Index stride) const {
    Index done = 0;
    if (transpose_a) {  // side by side, but not where whole vectors would reach beyond the last row of A
      while (done < count && all.begin(first + done) + round_up(MR<T>, lanes<T>) <= rows) ++done;
      pack_row_panels<T, MR<T>>(depth_, done, all.height, all.higher - first, a + p * rows + all.begin(first), rows, to,
                                stride);
    }
    for (; done < count; ++done) pack_a(all.begin(first + done), all.rows(first + done), p, depth_, to + done * stride);
  }

  void pack_b(Index panel, Index p, Index depth_, T* to) const {
    if (transpose_b) pack_columns<T, NR<T>>(depth_, columns(panel), b + panel * NR<T> * depth + p, depth, to);
    else pack_rows<T, NR<T>>(depth_, columns(panel), b + p * n + panel * NR<T>, n, to);
  }

  // A transposed A is read in place for few panels, unless its rows fall into few sets of the L1 cache.
  bool direct_a(Index row, Index p, RowsOfA<T>& to) const {
    if (!transpose_a) {
      to = {a + row * depth + p, depth, true};
      return true;
    }
    const bool sparse = rows * static_cast<Index>(sizeof(T)) % 1024 == 0;
    if (rows * depth > direct_size && (panels > 2 || sparse)) return false;
    to = {a + p * rows + row, rows, false};
    return true;
  }

  // In place also where it is used only once.
  PlaceOfB find_b(Index panel, Index p, ColumnsOfB<T>& to) const {
    if (transpose_b || columns(panel) < NR<T>) return PlaceOfB::packed;
    to = {b + p * n + panel * NR<T>, n};
    return n * depth <= direct_size || rows <= MR<T> ? PlaceOfB::in_place : PlaceOfB::packed_in_passing;
  }

  StepSource<T> step_of_a(Index row, Index count, Index p, Index depth_, T* space) const {
    if (transpose_a) {
      pack_columns<T, tile_depth>(count, depth_, a + p * rows + row, rows, space);
    } else {
      if (depth_ == tile_depth) return {a + row * depth + p, depth};
      pack_rows<T, tile_depth>(count, depth_, a + row * depth + p, depth, space);
    }
    return {space, tile_depth};
  }

  StepSource<T> step_of_b(Index panel, Index p, Index depth_, T* space) const {
    if (!transpose_b && depth_ == tile_depth && columns(panel) == NR<T>) return {b + p * n + panel * NR<T>, n};
    pack_b(panel, p, depth_, space);
    std::fill(space + depth_ * NR<T>, space + tile_depth * NR<T>, T(0));
    return {space, NR<T>};
  }

  void finish(T* tile, Index stride, Index, Index count, Index panel) const {
    if (!has_effect(epilogue)) return;
    constexpr int vectors = Tile<T>::vectors;
    Vec<T> bias[vectors] = {};
    if (epilogue.bias) {
      const T* from = epilogue.bias + panel * NR<T>;
      T padded[NR<T>] = {};
      if (columns(panel) < NR<T>) {
        copy_few<T, NR<T>>(padded, from, columns(panel));
        from = padded;
      }
      for (int j = 0; j < vectors; ++j) bias[j] = load(from + j * lanes<T>);
    }
    apply_epilogue<T, vectors>(epilogue, bias, count, tile, stride);
  }
};

}  // namespace dlcore::DLCORE_DEVICE
