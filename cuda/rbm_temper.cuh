// Parallel tempering of rbm.cu: see csrc/rbm/chains.h.
#pragma once

#include "../csrc/rbm/chains.h"
#include "rbm_contrast.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Rows stand replica by replica: the inverse temperature of a row is betas[row / n_chains].
template <typename T> struct TemperVisible {
  Index columns, n_chains;
  const double* betas;
  const T *bias, *base;
  T* x;
  __device__ void operator()(Index row, Index j) const {
    const double beta = betas[row / n_chains];
    T& field = x[row * columns + j];
    field = static_cast<T>(1 - beta) * base[j] + static_cast<T>(beta) * (bias[j] + field);
  }
};
template <typename T> struct TemperHidden {
  Index columns, n_chains;
  const double* betas;
  bool bernoulli;
  const T* field;
  T* mean;
  __device__ void operator()(Index row, Index j) const {
    const T x = static_cast<T>(betas[row / n_chains]) * field[row * columns + j];
    mean[row * columns + j] = bernoulli ? activate(Activation::sigmoid, x, T(0)) : x;
  }
};
// Terms of U, of visible units and then of hidden ones.
template <typename T> struct ReplicaEnergy {
  Index visible, hidden;
  const T *scaled, *base, *bias, *h, *field;
  __device__ double operator()(Index row, Index j) const {
    if (j < visible)
      return static_cast<double>(scaled[row * visible + j]) *
             (static_cast<double>(base[j]) - static_cast<double>(bias[j]));
    const Index at = row * hidden + j - visible;
    return -static_cast<double>(h[at]) * static_cast<double>(field[at]);
  }
};

template <typename T> __device__ inline void exchange_rows(Index columns, T* a, T* b) {
  for (Index j = threadIdx.x; j < columns; j += blockDim.x) {
    const T x = a[j];
    a[j] = b[j];
    b[j] = x;
  }
}
// One ensemble a block; `energy` is U of each replica. accepted (n_betas - 1, n_chains) is 1 where states went over.
template <typename T>
__global__ void exchange_kernel(Index n_betas, Index n_chains, Index visible, Index hidden, const double* betas,
                                std::uint64_t key, DrawStep step, T* v, T* h, double* energy, double* accepted) {
  DLCORE_SHARED(goes_over, int[1]);
  for (Index chain = blockIdx.x; chain < n_chains; chain += gridDim.x)
    for (Index parity = 0; parity < 2; ++parity)
      for (Index pair = parity; pair + 1 < n_betas; pair += 2) {
        const Index a = pair * n_chains + chain, b = a + n_chains;
        __syncthreads();
        if (threadIdx.x == 0) {
          const double gain = (betas[pair] - betas[pair + 1]) * (energy[a] - energy[b]);
          goes_over[0] = gain >= 0 || sample_of<double>(key, step, a) < std::exp(gain);
          accepted[a] += goes_over[0];
          if (goes_over[0]) {
            const double x = energy[a];
            energy[a] = energy[b];
            energy[b] = x;
          }
        }
        __syncthreads();
        if (!goes_over[0]) continue;
        exchange_rows(visible, v + a * visible, v + b * visible);
        exchange_rows(hidden, h + a * hidden, h + b * hidden);
      }
}

}  // namespace

template <typename T>
void rbm_temper(const Rbm<T>& rbm, const T* base_bias, Index n_chains, Index n_betas, const double* betas, Index k,
                std::uint64_t key, std::uint64_t step, T* replicas, T* v, double* accepted,
                const Interruption& interruption) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden, rows = n_betas * n_chains;
  const Buffer<T> visible_states(rows * visible), hidden_states(rows * hidden), hidden_fields(rows * hidden),
      hidden_means(rows * hidden), scaled_states(rbm.n_gaussian ? rows * visible : 0),
      precisions = powers_of_variance(rbm, -1);
  const Buffer<double> energies(rows), counts(rows);
  T* const x = visible_states.data();
  T* const h = hidden_states.data();
  T* const field = hidden_fields.data();
  T* const mean = hidden_means.data();
  T* const scaled = rbm.n_gaussian ? scaled_states.data() : x;  // v / s
  const T* const bias = rbm.visible_bias;
  for_each("rbm: temper", 1, rows, FillWith<double>{counts.data(), 0.0});
  copy(rows * hidden, static_cast<const T*>(replicas), h);
  for (Index i = 0; i < k; ++i, step += 3) {
    if (i > 0) interruption();
    matmul<T>(false, true, rows, visible, hidden, T(1), h, rbm.weight, T(0), x);
    for_each("rbm: temper", rows, visible, TemperVisible<T>{visible, n_chains, betas, bias, base_bias, x});
    means_of_fields<T>(rbm, rows, x);
    rbm_draw_visible<T>(rbm, key, step, rows, x, x);
    if (rbm.n_gaussian) scale_by_precision<T>(rows, visible, precisions.data(), x, scaled);

    matmul<T>(false, false, rows, hidden, visible, T(1), scaled, rbm.weight, T(0), field,
              Epilogue<T>{rbm.hidden_bias, Activation::identity, T(0)});
    for_each("rbm: temper", rows, hidden,
             TemperHidden<T>{hidden, n_chains, betas, rbm.hidden == Unit::bernoulli, field, mean});
    rbm_draw_hidden<T>(rbm, key, step + 1, rows, mean, h);
    row_sums("rbm: energies", rows, visible + hidden,
             ReplicaEnergy<T>{visible, hidden, scaled, base_bias, bias, h, field}, Store<double>{energies.data()});
    launch("rbm: exchange", exchange_kernel<T>, grid_of_blocks(n_chains, 128), n_betas, n_chains, visible, hidden,
           betas, key, step + 2, x, h, energies.data(), counts.data());
  }
  copy(rows * hidden, static_cast<const T*>(h), replicas);
  copy(n_chains * visible, static_cast<const T*>(x), v);
  row_sums("rbm: exchanges", n_betas - 1, n_chains, ElementOf<double>{n_chains, counts.data()}, AddTo{accepted});
}

#define DLCORE_INSTANTIATE(T)                                                                                         \
  template void rbm_temper(const Rbm<T>&, const T*, Index, Index, const double*, Index, std::uint64_t, std::uint64_t, \
                           T*, T*, double*, const Interruption&);
DLCORE_INSTANTIATE(float)
DLCORE_INSTANTIATE(double)
#undef DLCORE_INSTANTIATE

}  // namespace dlcore::DLCORE_DEVICE
