#include "../csrc/matmul.h"

#include "../csrc/instances/matmul.h"
#include "gemm_finish.cuh"
#include "gemm_split.cuh"

namespace dlcore::DLCORE_DEVICE {

bool set_matmul_precision(Precision precision) { return precision == Precision::exact; }
bool use_tiles() { return false; }

template <typename T>
void matmul_and_draw(bool transpose_a, bool transpose_b, Index m, Index n, Index k, T alpha, const T* a, const T* b,
                     T beta, T* c, const Epilogue<T>& epilogue, const GemmDraw<T>& draw) {
  const auto finish = MatrixFinish<T>::of(c, n, k == 0 ? T(0) : alpha, beta, epilogue, draw);
  const auto product = [&](const int* only_beyond_range) {
    const auto with_a = [&](const auto& left) {
      const auto with_b = [&](const auto& right) {
        gemm<T>("matmul", m, n, k, left, right, finish, 1, only_beyond_range);
      };
      if (transpose_b) with_b(MatrixOperand<T, true>::of(b, k, n));
      else with_b(MatrixOperand<T, false>::of(b, n, n));
    };
    if (transpose_a) with_a(MatrixOperand<T, false>::of(a, m, m));
    else with_a(MatrixOperand<T, true>::of(a, k, m));
  };
  if constexpr (sizeof(T) == 4)
    if (gemm_is("split") && m > 0 && n > 0) return gemm_split(transpose_a, transpose_b, m, n, k, a, b, finish, product);
  product(nullptr);
}

template <typename T>
void matmul(bool transpose_a, bool transpose_b, Index m, Index n, Index k, T alpha, const T* a, const T* b, T beta,
            T* c, const Epilogue<T>& epilogue) {
  matmul_and_draw(transpose_a, transpose_b, m, n, k, alpha, a, b, beta, c, epilogue, {});
}

#define DLCORE_INSTANTIATE(T)                                                                                      \
  template void matmul_and_draw(bool, bool, Index, Index, Index, T, const T*, const T*, T, T*, const Epilogue<T>&, \
                                const GemmDraw<T>&);
DLCORE_INSTANTIATE(float)
DLCORE_INSTANTIATE(double)
#undef DLCORE_INSTANTIATE

DLCORE_MATMUL_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
