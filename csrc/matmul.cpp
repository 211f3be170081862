#include "matmul.h"

#include "activation_vec.h"
#include "gemm.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <typename T> inline constexpr Index direct_size = 16384 / sizeof(T);

template <typename T> struct MatrixProduct {
  Index rows, depth, panels, n;
  Index ldc;
  T alpha, beta;
  bool transpose_a, transpose_b;
  const T* a;
  const T* b;
  T* out;
  Epilogue<T> epilogue;
  static constexpr bool has_finish = true;

  Index columns(Index panel) const { return std::min<Index>(NR<T>, n - panel * NR<T>); }
  T* c(Index panel) const { return out + panel * NR<T>; }
  void pack_a(Index row, Index count, Index p, Index depth_, T* to) const {
    if (transpose_a) pack_rows<T, MR<T>>(depth_, count, a + p * rows + row, rows, to);
    else pack_columns<T, MR<T>>(depth_, count, a + row * depth + p, depth, to);
  }
  void pack_b(Index panel, Index p, Index depth_, T* to) const {
    const Index count = columns(panel);
    if (transpose_b) pack_columns<T, NR<T>>(depth_, count, b + panel * NR<T> * depth + p, depth, to);
    else pack_rows<T, NR<T>>(depth_, count, b + p * n + panel * NR<T>, n, to);
  }
  // In place where the whole matrix is small enough to lie in the L1 cache, or a panel is used only once.
  bool direct_a(Index row, Index p, RowsOfA<T>& to) const {
    if (transpose_a) {
      if (panels > 1 && rows * depth > direct_size<T>) return false;
      to = {a + p * rows + row, rows, false};
    } else {
      to = {a + row * depth + p, depth, true};
    }
    return true;
  }
  bool direct_b(Index panel, Index p, ColumnsOfB<T>& to) const {
    if (transpose_b || columns(panel) < NR<T> || (n * depth > direct_size<T> && rows > MR<T>)) return false;
    to = {b + p * n + panel * NR<T>, n};
    return true;
  }
  void finish(T* tile, Index stride, Index, Index count, Index panel) const {
    if (!epilogue.bias && epilogue.activation == Activation::identity) return;
    constexpr int vectors = Tile<T>::vectors;
    Vec<T> bias[vectors] = {};
    if (epilogue.bias) {
      T padded[NR<T>] = {};
      std::memcpy(padded, epilogue.bias + panel * NR<T>, static_cast<std::size_t>(columns(panel)) * sizeof(T));
      for (int j = 0; j < vectors; ++j) bias[j] = load(padded + j * lanes<T>);
    }
    with_activation(epilogue.activation, [&](auto kind) {
      for (Index i = 0; i < count; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j) {
          T* x = tile + i * stride + j * lanes<T>;
          store(x, activate<kind(), T>(load(x) + bias[j], epilogue.parameter));
        }
    });
  }
};

}  // namespace

template <typename T>
void matmul(bool transpose_a, bool transpose_b, Index m, Index n, Index k, T alpha, const T* a, const T* b, T beta, T* c,
            const Epilogue<T>& epilogue) {
  gemm<T>(MatrixProduct<T>{m, k, ceil_div(n, NR<T>), n, n, alpha, beta, transpose_a, transpose_b, a, b, c, epilogue});
}

template void matmul(bool, bool, Index, Index, Index, float, const float*, const float*, float, float*,
                     const Epilogue<float>&);
template void matmul(bool, bool, Index, Index, Index, double, const double*, const double*, double, double*,
                     const Epilogue<double>&);

}  // namespace dlcore::DLCORE_DEVICE
