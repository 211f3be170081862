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

// Of float32 products. `exact`: as good as chains of float32 multiply-adds. The others are for modules that multiply
// parts of bfloat16: operands cut to two of them (16 bits) or one (8), in products large enough for that way.
enum class Precision { exact, bf16x2, bf16 };
bool set_matmul_precision(Precision precision);  // false, and nothing changes, where the module has no such products
// From now on, for the whole process, large float32 products multiply such parts; false where the module has no such
// products or the system refuses the process what they need.
bool use_tiles();

// op(A) is (m, k): A is (m, k), or (k, m) when transposed; op(B) is (k, n); C is (m, n). C is not read when beta is 0;
// C must not overlap A or B.
template <typename T>
void matmul(bool transpose_a, bool transpose_b, Index m, Index n, Index k, T alpha, const T* a, const T* b, T beta,
            T* c, const Epilogue<T>& epilogue = {});

}  // namespace dlcore::DLCORE_DEVICE
