// C = alpha op(A) op(B) + beta C, with an optional bias and activation on the way out.
#pragma once

#include "activation.h"
#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// Applied to each finished element of row i, column j: activation(c + bias[j]).
template <typename T> struct Epilogue {
  const T* bias = nullptr;  // (n,)
  Activation activation = Activation::identity;
  T parameter = 0;
};

// op(A) is (m, k): A is (m, k), or (k, m) when transposed; op(B) is (k, n); C is (m, n). C is not read when beta is 0;
// C must not overlap A or B.
template <typename T>
void matmul(bool transpose_a, bool transpose_b, Index m, Index n, Index k, T alpha, const T* a, const T* b, T beta,
            T* c, const Epilogue<T>& epilogue = {});

}  // namespace dlcore::DLCORE_DEVICE
