#include "rbm.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <numbers>

#include "instances/rbm.h"
#include "matmul.h"
#include "memory.h"
#include "parallel.h"
#include "random.h"
#include "rbm/clamp.h"
#include "rbm/contrast.h"
#include "rbm/likelihood.h"
#include "rbm/partition.h"
#include "rbm/temper.h"
#include "rbm/units.h"

namespace dlcore::DLCORE_DEVICE {

template <typename T> void rbm_hidden(const Rbm<T>& rbm, Index n, const T* v, T* probabilities) {
  if (rbm.n_gaussian == 0) return hidden_of_scaled(rbm, n, v, probabilities);
  const Index visible = rbm.n_visible, block = std::min<Index>(n, 1024);
  const Buffer<T> precision = powers_of_variance(rbm, -1), scaled(block * visible);
  for (Index first = 0; first < n; first += block) {
    const Index rows = std::min(block, n - first);
    scale_by_precision(rows, visible, precision.data(), v + first * visible, scaled.data());
    hidden_of_scaled(rbm, rows, scaled.data(), probabilities + first * rbm.n_hidden);
  }
}

template <typename T> void rbm_visible(const Rbm<T>& rbm, Index n, const T* h, T* probabilities) {
  const Activation activation = rbm.segments ? Activation::identity : Activation::sigmoid;
  matmul(false, true, n, rbm.n_visible, rbm.n_hidden, T(1), h, rbm.weight, T(0), probabilities,
         Epilogue<T>{rbm.visible_bias, activation, T(0)});
  if (rbm.segments) means_of_fields(rbm, n, probabilities);
}

template <typename T>
void rbm_draw_hidden(const Rbm<T>& rbm, std::uint64_t key, std::uint64_t step, Index n, const T* means, T* samples) {
  const Index size = n * rbm.n_hidden;
  if (rbm.hidden == Unit::bernoulli) return bernoulli(key, step, size, means, samples);
  const Buffer<T> noise_(size);
  T* const noise = noise_.data();
  normal(key ^ rbm_normal_stream, step, size, T(0), T(1), noise);
  parallel_for(size, elementwise_grain, [=](Index begin, Index end) {
    map_vectors(
        end - begin, samples + begin, [](Vec<T> mean, Vec<T> z) { return mean + z; }, means + begin, noise + begin);
  });
}

template <typename T>
void rbm_draw_visible(const Rbm<T>& rbm, std::uint64_t key, std::uint64_t step, Index n, const T* means, T* samples) {
  if (rbm.segments) draw_mixed(rbm, key, step, n, means, samples);
  else bernoulli(key, step, n * rbm.n_visible, means, samples);
}

template <typename T>
void rbm_gibbs(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, T* samples,
               T* probabilities, const Interruption& interruption) {
  const Buffer<T> hidden(n * rbm.n_hidden), scaled(rbm.n_gaussian ? n * rbm.n_visible : 0),
      precision = powers_of_variance(rbm, -1);
  Weights<T> weights(rbm);
  T* const h = hidden.data();
  for (Index i = 0; i < k; ++i, step += 2) {
    if (i > 0) interruption();
    const T* x = i == 0 ? v : samples;
    if (rbm.n_gaussian) {
      scale_by_precision(n, rbm.n_visible, precision.data(), x, scaled.data());
      x = scaled.data();
    }
    weights.up(n, x, means_of_hidden(rbm), h);
    rbm_draw_hidden(rbm, key, step, n, h, h);
    visible_of(rbm, weights, n, h, probabilities);
    rbm_draw_visible(rbm, key, step + 1, n, probabilities, samples);
  }
}

template <typename T>
void rbm_cd(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, Index n_chains,
            T* chains, T* gradient, double* error, const Interruption& interruption, const ContrastTerms<T>& terms) {
  Contrast<T> work(rbm, n, chains ? n_chains : n);
  copy(n * rbm.n_visible, v, work.visible.data());
  *error = contrast(rbm, work, k, key, step, chains, gradient, interruption, terms);
}

template <typename T> void rbm_free_energy(const Rbm<T>& rbm, Index n, const T* v, T* energy) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  const bool binary = rbm.hidden == Unit::bernoulli;
  // Some rows at a time, so that their softplus stays in the second-level cache.
  const Index block = std::min(n, std::max<Index>(16, 65536 / std::max<Index>(1, hidden)));
  const Buffer<T> fields(block * hidden), precision = powers_of_variance(rbm, -1);
  const Buffer<T> scaled(rbm.n_gaussian ? block * visible : 0);
  const T* const p = precision.data();
  for (Index first = 0; first < n; first += block) {
    const Index rows = std::min(block, n - first);
    T* const x = fields.data();
    const T* of_field = v + first * visible;
    if (p) {
      scale_by_precision(rows, visible, p, of_field, scaled.data());
      of_field = scaled.data();
    }
    matmul(false, false, rows, hidden, visible, T(1), of_field, rbm.weight, T(0), x,
           Epilogue<T>{rbm.hidden_bias, binary ? Activation::softplus : Activation::identity, T(0)});
    parallel_for(
        rows, std::max<Index>(1, elementwise_grain / (visible + hidden + 1)), [=, &rbm](Index begin, Index end) {
          for (Index i = begin; i < end; ++i) {
            const T* const row = x + i * hidden;
            const double summed_out = binary ? sum_of_products<T>(hidden, row)
                                             : (sum_of_products<T>(hidden, row, row) +
                                                static_cast<double>(hidden) * std::log(2 * std::numbers::pi)) /
                                                   2;
            energy[first + i] = static_cast<T>(energy_of_visible(rbm, v + (first + i) * visible, p) - summed_out);
          }
        });
  }
}

template <typename T>
Index rbm_first_invalid(Index n, Index units, const Segment* segments, Index n_segments, const T* x) {
  std::atomic<Index> found{n};  // the first bad row
  const auto valid = [=](const T* row) {
    for (Index s = 0; s < n_segments; ++s) {
      const bool gaussian = segments[s].kind == Unit::gaussian;
      const T low = gaussian ? std::numeric_limits<T>::lowest() : T(0);
      const T high = gaussian ? std::numeric_limits<T>::max() : T(1);
      for (Index i = segments[s].begin; i < segments[s].end; ++i)
        if (!(row[i] >= low && row[i] <= high)) return i;
    }
    return units;
  };
  parallel_for(n, layer_rows(units), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      if (valid(x + row * units) == units) continue;
      Index least = found.load(std::memory_order_relaxed);
      while (row < least && !found.compare_exchange_weak(least, row, std::memory_order_relaxed)) {}
      return;
    }
  });
  const Index row = found.load();
  return row == n ? n * units : row * units + std::min(valid(x + row * units), units - 1);
}

Index rbm_states(Index n_visible, Index n_hidden, const Segment* segments, Index n_segments, Unit hidden) {
  const LayerStates layers = count_states(n_visible, n_hidden, segments, n_segments, hidden);
  const Index states = std::min(layers.visible, layers.hidden);
  return states > Index{1} << rbm_max_enumerated ? -1 : states;
}

DLCORE_RBM_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
