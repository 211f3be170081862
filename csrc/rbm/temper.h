// Parallel tempering of rbm.cpp: see rbm/chains.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "../matmul.h"
#include "chains.h"
#include "contrast.h"
#include "likelihood.h"
#include "units.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Fields of visible units to means, in place.
template <typename T> void visible_means_of_fields(const Rbm<T>& rbm, Index n, T* x) {
  if (rbm.segments) means_of_fields(rbm, n, x);
  else activation(Activation::sigmoid, T(0), n * rbm.n_visible, x, x);
}

// Calls f(row, its inverse temperature) for all rows of the replicas.
template <typename F>
void for_each_tempered_row(Index n_betas, Index n_chains, Index units, const double* betas, const F& f) {
  parallel_for(n_betas * n_chains, layer_rows(units), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) f(row, betas[row / n_chains]);
  });
}

// Exchanges of all ensembles; `energy` is U of each replica.
template <typename T>
void exchange(Index n_betas, Index n_chains, Index visible, Index hidden, const double* betas, std::uint64_t key,
              std::uint64_t step, T* v, T* h, double* energy, double* accepted) {
  const Index pairs = n_betas - 1;
  const Buffer<std::uint8_t> exchanged(pairs * n_chains);
  std::uint8_t* const done = exchanged.data();
  parallel_for(n_chains, layer_rows(n_betas * (visible + hidden)), [=](Index begin, Index end) {
    for (Index chain = begin; chain < end; ++chain)
      for (Index parity = 0; parity < 2; ++parity)
        for (Index pair = parity; pair < pairs; pair += 2) {
          const Index a = pair * n_chains + chain, b = a + n_chains;
          const double gain = (betas[pair] - betas[pair + 1]) * (energy[a] - energy[b]);
          done[a] = gain >= 0 || sample_of<double>(key, step, a) < std::exp(gain);
          if (!done[a]) continue;
          std::swap_ranges(v + a * visible, v + (a + 1) * visible, v + b * visible);
          std::swap_ranges(h + a * hidden, h + (a + 1) * hidden, h + b * hidden);
          std::swap(energy[a], energy[b]);
        }
  });
  for (Index pair = 0; pair < pairs; ++pair)
    for (Index chain = 0; chain < n_chains; ++chain) accepted[pair] += done[pair * n_chains + chain];
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
  const Buffer<double> energies(rows), counts(n_betas);
  Weights<T> weights(rbm);
  T* const x = visible_states.data();
  T* const h = hidden_states.data();
  T* const field = hidden_fields.data();
  T* const mean = hidden_means.data();
  T* const scaled = rbm.n_gaussian ? scaled_states.data() : x;  // v / s
  const T* const bias = rbm.visible_bias;
  double* const energy = energies.data();
  std::fill(counts.data(), counts.data() + n_betas, 0.0);
  copy(rows * hidden, replicas, h);
  for (Index i = 0; i < k; ++i, step += 3) {
    if (i > 0) interruption();
    weights.down(rows, h, {}, x);
    for_each_tempered_row(n_betas, n_chains, visible, betas, [=](Index row, double beta) {
      const Vec<T> share = splat(static_cast<T>(beta)), rest = splat(static_cast<T>(1 - beta));
      map_vectors(
          visible, x + row * visible, [=](Vec<T> f, Vec<T> b, Vec<T> base) { return rest * base + share * (b + f); },
          x + row * visible, bias, base_bias);
    });
    visible_means_of_fields(rbm, rows, x);
    rbm_draw_visible(rbm, key, step, rows, x, x);
    if (rbm.n_gaussian) scale_by_precision(rows, visible, precisions.data(), x, scaled);

    weights.up(rows, scaled, {rbm.hidden_bias, Activation::identity, T(0)}, field);
    const bool bernoulli_units = rbm.hidden == Unit::bernoulli;
    for_each_tempered_row(n_betas, n_chains, hidden, betas, [=](Index row, double beta) {
      const Vec<T> share = splat(static_cast<T>(beta));
      if (bernoulli_units)
        map_vectors(
            hidden, mean + row * hidden, [=](Vec<T> f) { return vsigmoid<T>(share * f); }, field + row * hidden);
      else map_vectors(hidden, mean + row * hidden, [=](Vec<T> f) { return share * f; }, field + row * hidden);
    });
    rbm_draw_hidden(rbm, key, step + 1, rows, mean, h);
    for_each_tempered_row(n_betas, n_chains, visible + hidden, betas, [=](Index row, double) {
      const T* const s = scaled + row * visible;
      energy[row] = sum_of_products<T>(visible, s, base_bias) - sum_of_products<T>(visible, s, bias) -
                    sum_of_products<T>(hidden, h + row * hidden, field + row * hidden);
    });
    exchange(n_betas, n_chains, visible, hidden, betas, key, step + 2, x, h, energy, counts.data());
  }
  copy(rows * hidden, h, replicas);
  copy(n_chains * visible, x, v);
  for (Index pair = 0; pair + 1 < n_betas; ++pair) accepted[pair] += counts.data()[pair];
}

#define DLCORE_INSTANTIATE(T)                                                                                         \
  template void rbm_temper(const Rbm<T>&, const T*, Index, Index, const double*, Index, std::uint64_t, std::uint64_t, \
                           T*, T*, double*, const Interruption&);
DLCORE_INSTANTIATE(float)
DLCORE_INSTANTIATE(double)
#undef DLCORE_INSTANTIATE

}  // namespace dlcore::DLCORE_DEVICE
