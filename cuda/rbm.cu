#include "../csrc/rbm.h"

#include <algorithm>
#include <limits>

#include "../csrc/instances/rbm.h"
#include "rbm_clamp.cuh"
#include "rbm_contrast.cuh"
#include "rbm_likelihood.cuh"
#include "rbm_partition.cuh"
#include "rbm_temper.cuh"
#include "rbm_units.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// The energy of a case is that of its visible units without what is summed out over the hidden ones, whose fields
// (after softplus, where they are Bernoulli) stand behind the visible units in the count of columns.
template <typename T> struct FreeEnergyTerm {
  Index visible, hidden;
  bool binary;
  const T *v, *bias, *fields;
  __device__ double operator()(Index row, Index j) const {
    if (j < visible) return -static_cast<double>(v[row * visible + j]) * static_cast<double>(bias[j]);
    const double x = static_cast<double>(fields[row * hidden + j - visible]);
    constexpr double log_two_pi = 1.8378770664093454836;
    return binary ? -x : -(x * x + log_two_pi) / 2;
  }
};
// In place of -b v, where a unit is Gaussian.
template <typename T> struct GaussianEnergyTerm {
  Index visible, first;
  const T *v, *bias, *precision;
  __device__ double operator()(Index row, Index j) const {
    const double x = static_cast<double>(v[row * visible + first + j]), b = static_cast<double>(bias[first + j]);
    return (x - b) * (x - b) / 2 * static_cast<double>(precision[first + j]) + x * b;
  }
};

template <typename T> struct Invalid {
  Index units, first;
  T low, high;
  const T* x;
  unsigned long long* least;
  __device__ void operator()(Index row, Index j) const {
    const Index i = row * units + first + j;
    if (!(x[i] >= low && x[i] <= high)) atomicMin(least, static_cast<unsigned long long>(i));
  }
};

}  // namespace

template <typename T> void rbm_hidden(const Rbm<T>& rbm, Index n, const T* v, T* probabilities) {
  if (rbm.n_gaussian == 0) return hidden_of_scaled(rbm, n, v, probabilities);
  const Buffer<T> precision = powers_of_variance(rbm, -1), scaled(n * rbm.n_visible);
  scale_by_precision<T>(n, rbm.n_visible, precision.data(), v, scaled.data());
  hidden_of_scaled<T>(rbm, n, scaled.data(), probabilities);
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
  const Buffer<T> noise(size);
  normal(key ^ rbm_normal_stream, step, size, T(0), T(1), noise.data());
  map<T>("rbm: draw", size, samples, Plus<T>{}, means, static_cast<const T*>(noise.data()));
}

template <typename T>
void rbm_draw_visible(const Rbm<T>& rbm, std::uint64_t key, std::uint64_t step, Index n, const T* means, T* samples) {
  if (rbm.segments) draw_mixed(rbm, key, step, n, means, samples);
  else bernoulli(key, step, n * rbm.n_visible, means, samples);
}

template <typename T>
void rbm_gibbs(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, T* samples,
               T* probabilities, const Interruption& interruption) {
  const Buffer<T> hidden(n * rbm.n_hidden), precision = powers_of_variance(rbm, -1);
  const Buffer<T> scaled(rbm.n_gaussian ? n * rbm.n_visible : 0);
  for (Index i = 0; i < k; ++i, step += 2) {
    if (i > 0) interruption();
    const T* from = i == 0 ? v : samples;
    if (rbm.n_gaussian) {
      scale_by_precision<T>(n, rbm.n_visible, precision.data(), from, scaled.data());
      from = scaled.data();
    }
    sample_hidden<T>(rbm, n, from, key, step, hidden.data());
    sample_visible<T>(rbm, n, hidden.data(), key, step + 1, samples, i + 1 == k ? probabilities : nullptr);
  }
}

template <typename T>
void rbm_cd(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, Index n_chains,
            T* chains, T* gradient, double* error, const Interruption& interruption, const ContrastTerms<T>& terms) {
  Contrast<T> work(rbm, n, chains ? n_chains : n);
  copy(n * rbm.n_visible, v, work.visible.data());
  contrast(rbm, work, k, key, step, chains, gradient, error, interruption, terms);
}

template <typename T> void rbm_free_energy(const Rbm<T>& rbm, Index n, const T* v, T* energy) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  const bool binary = rbm.hidden == Unit::bernoulli;
  const Buffer<T> fields(n * hidden), precision = powers_of_variance(rbm, -1);
  const Buffer<T> scaled(rbm.n_gaussian ? n * visible : 0);
  const Buffer<double> sums(n);
  if (rbm.n_gaussian) scale_by_precision<T>(n, visible, precision.data(), v, scaled.data());
  matmul<T>(false, false, n, hidden, visible, T(1), rbm.n_gaussian ? scaled.data() : v, rbm.weight, T(0), fields.data(),
            Epilogue<T>{rbm.hidden_bias, binary ? Activation::softplus : Activation::identity, T(0)});
  row_sums("rbm_free_energy", n, visible + hidden,
           FreeEnergyTerm<T>{visible, hidden, binary, v, rbm.visible_bias, fields.data()}, Store<double>{sums.data()});
  for_each_segment(rbm, [&](const Segment& segment, Index) {
    if (segment.kind == Unit::gaussian)
      row_sums("rbm_free_energy", n, segment.end - segment.begin,
               GaussianEnergyTerm<T>{visible, segment.begin, v, rbm.visible_bias, precision.data()},
               AddTo{sums.data()});
  });
  convert("rbm_free_energy", n, sums.data(), energy);
}

template <typename T>
Index rbm_first_invalid(Index n, Index units, const Segment* segments, Index n_segments, const T* x) {
  const Buffer<unsigned long long> least(1);
  const auto none = static_cast<unsigned long long>(n * units);
  copy_from_host(least.data(), &none, sizeof none);
  for (Index s = 0; s < n_segments; ++s) {
    const bool gaussian = segments[s].kind == Unit::gaussian;
    for_each("rbm: values", n, segments[s].end - segments[s].begin,
             Invalid<T>{units, segments[s].begin, gaussian ? std::numeric_limits<T>::lowest() : T(0),
                        gaussian ? std::numeric_limits<T>::max() : T(1), x, least.data()});
  }
  return static_cast<Index>(checked_value(least.data(), none));
}

Index rbm_states(Index n_visible, Index n_hidden, const Segment* segments, Index n_segments, Unit hidden) {
  const LayerStates layers = count_states(n_visible, n_hidden, segments, n_segments, hidden);
  const Index states = std::min(layers.visible, layers.hidden);
  return states > Index{1} << rbm_max_enumerated ? -1 : states;
}

DLCORE_RBM_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
