#include "matmul.h"

#include "activation_vec.h"
#include "instances/matmul.h"
#include "matmul/gemm.h"
#include "matmul/product.h"
#include "matmul/tiles.h"
#include "matmul/vector.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// activation(y + bias), the bias an array or one number for all.
template <typename T>
__attribute__((noinline)) void apply_epilogue(const Epilogue<T>& epilogue, bool bias_per_element, Index first, Index n,
                                              T* y) {
  if (epilogue.bias && bias_per_element) {
    map_vectors(n, y, [](Vec<T> x, Vec<T> bias) { return x + bias; }, y, epilogue.bias + first);
  } else if (epilogue.bias) {
    const Vec<T> bias = splat(*epilogue.bias);
    map_vectors(n, y, [=](Vec<T> x) { return x + bias; }, y);
  }
  if (epilogue.activation == Activation::identity) return;
  with_activation(epilogue.activation, [&](auto kind) {
    map_vectors(n, y, [&](Vec<T> x) { return activate<kind(), T>(x, epilogue.parameter); }, y);
  });
}

// C has one row or one column: op(A) op(B), or its transpose, is a row x times a matrix.
template <typename T>
void vector_product(bool matrix_transposed, Index n, Index k, T alpha, const T* x, const T* matrix, T beta, T* c,
                    const Epilogue<T>& epilogue, bool bias_per_element) {
  if (k == 0) alpha = 0;
  const auto finish = [&](Index first, Index count, const T* sums) {
    T* y = c + first;
    if (beta == T(0)) map_vectors(count, y, [&](Vec<T> sum) { return alpha * sum; }, sums);
    else map_vectors(count, y, [&](Vec<T> sum, Vec<T> old) { return alpha * sum + beta * old; }, sums, y);
    if (has_effect(epilogue)) apply_epilogue(epilogue, bias_per_element, first, count, y);
  };
  if (matrix_transposed) row_times_rows(n, k, x, matrix, finish);
  else row_times_matrix(n, k, x, matrix, finish);
}

}  // namespace

template <typename T>
void matmul(bool transpose_a, bool transpose_b, Index m, Index n, Index k, T alpha, const T* a, const T* b, T beta,
            T* c, const Epilogue<T>& epilogue) {
  if (m == 1) return vector_product(transpose_b, n, k, alpha, a, b, beta, c, epilogue, true);
  if (n == 1) return vector_product(!transpose_a, m, k, alpha, b, a, beta, c, epilogue, false);
  const MatrixProduct<T> product{m, k,       ceil_div(n, NR<T>), n, n, alpha, beta, transpose_a, transpose_b, a, b,
                                 c, epilogue};
  if constexpr (std::is_same_v<T, float>)
    if (has_tiles() && multiply_in_tiles(product)) return;
  gemm<T>(product);
}

DLCORE_MATMUL_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
