// What becomes of an element of a matrix product: scaled, added to what is there, through a bias and an activation; or
// a Bernoulli draw from that.
#pragma once

#include "../csrc/matmul.h"
#include "../csrc/philox.h"
#include "activate.cuh"
#include "gemm.cuh"

namespace dlcore::DLCORE_DEVICE {

// Bernoulli samples of the finished elements, as random.h draws them: element row * n + column of draw (key, step).
template <typename T> struct GemmDraw {
  T* samples = nullptr;
  std::uint64_t key = 0;
  DrawStep step;
  T factor = 1;  // of what is written to C, whose samples are those of the elements before
};

// Samples of `elements` first .. first + vector_size<T> in [0, 1).
template <typename T>
__device__ inline void unit_samples(const GemmDraw<T>& draw, Index first, T (&u)[vector_size<T>]) {
  constexpr int words = 4;  // of a vector: two for each double
  const std::uint64_t word = static_cast<std::uint64_t>(first) * (sizeof(T) / 4), block = word / 4;
  const int skipped = static_cast<int>(word % 4);
  std::uint32_t of[2 * words];
  const std::uint64_t drawn = draw.step;
  const PhiloxBlock low = philox(draw.key, drawn, block);
  const PhiloxBlock high = skipped ? philox(draw.key, drawn, block + 1) : low;
#pragma unroll
  for (int i = 0; i < words; ++i) {
    of[i] = low.word[i];
    of[words + i] = high.word[i];
  }
  // Selected without an index that is not known when compiled: the words stay in registers.
#pragma unroll
  for (int i = 0; i < vector_size<T>; ++i) {
    constexpr int step = sizeof(T) / 4;
    std::uint32_t first_word = of[i * step], second_word = of[i * step + step - 1];
#pragma unroll
    for (int s = 1; s < 4; ++s)
      if (skipped == s) {
        first_word = of[i * step + s];
        second_word = of[i * step + step - 1 + s];
      }
    if constexpr (sizeof(T) == 4) u[i] = unit_float(first_word);
    else u[i] = unit_double(first_word, second_word);
  }
}

// y = activation(alpha x + beta c + bias), samples = u < y, c = factor y. C is (m, n); it may be null where only
// samples are wanted.
template <typename T> struct MatrixFinish {
  T* c;
  Index n;
  T alpha, beta;
  Epilogue<T> epilogue;
  GemmDraw<T> draw;
  Index group_rows;
  bool aligned;  // rows of c and of the samples in 16 bytes at a time

  static MatrixFinish of(T* c, Index n, T alpha, T beta, const Epilogue<T>& epilogue, const GemmDraw<T>& draw = {},
                         Index group_rows = 0) {
    return {c,        n,    alpha,      beta,
            epilogue, draw, group_rows, n % vector_size<T> == 0 && is_aligned(c) && is_aligned(draw.samples)};
  }

  __device__ void operator()(Index group, Index row, Index column, const T (&x)[vector_size<T>], int count) const {
    constexpr int v = vector_size<T>;
    const Index first = (group * group_rows + row) * n + column;
    T y[v];
#pragma unroll
    for (int j = 0; j < v; ++j) y[j] = alpha * x[j];
    if (beta != T(0)) {
      if (aligned) {
        const Pack<T> old = *reinterpret_cast<const Pack<T>*>(c + first);
#pragma unroll
        for (int j = 0; j < v; ++j) y[j] += beta * old.item[j];
      } else {
#pragma unroll
        for (int j = 0; j < v; ++j)
          if (j < count) y[j] += beta * c[first + j];
      }
    }
    if (epilogue.bias)
#pragma unroll
      for (int j = 0; j < v; ++j)
        if (j < count) y[j] += epilogue.bias[column + j];
    if (epilogue.activation != Activation::identity)
#pragma unroll
      for (int j = 0; j < v; ++j) y[j] = activate(epilogue.activation, y[j], epilogue.parameter);
    if (draw.samples) {
      T u[v];
      unit_samples(draw, first, u);
#pragma unroll
      for (int j = 0; j < v; ++j) u[j] = u[j] < y[j] ? T(1) : T(0);
      store(draw.samples + first, u, count);
    }
#pragma unroll
    for (int j = 0; j < v; ++j) y[j] *= draw.factor;
    if (c) store(c + first, y, count);
  }

 private:
  __device__ void store(T* to, const T (&x)[vector_size<T>], int count) const {
    constexpr int v = vector_size<T>;
    if (aligned) {
      Pack<T> pack;
#pragma unroll
      for (int j = 0; j < v; ++j) pack.item[j] = x[j];
      *reinterpret_cast<Pack<T>*>(to) = pack;
    } else {
#pragma unroll
      for (int j = 0; j < v; ++j)
        if (j < count) to[j] = x[j];
    }
  }
};

// matmul with Bernoulli draws from the result; `c` may be null where `draw` has samples (then beta is 0).
template <typename T>
void matmul_and_draw(bool transpose_a, bool transpose_b, Index m, Index n, Index k, T alpha, const T* a, const T* b,
                     T beta, T* c, const Epilogue<T>& epilogue, const GemmDraw<T>& draw);

}  // namespace dlcore::DLCORE_DEVICE
