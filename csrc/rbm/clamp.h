// Gibbs sampling with units held, and the statistics of rows, of rbm.cpp: see rbm/chains.h.
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

// x = given where that is a number, otherwise as it is.
template <typename T> void hold(Index n, const T* given, T* x) {
  parallel_for(n, elementwise_grain, [=](Index begin, Index end) {
    map_vectors(end - begin, x + begin, [](Vec<T> g, Vec<T> e) { return g == g ? g : e; }, given + begin, x + begin);
  });
}

// z of a gradient that has W already: the sum of weights times (v - b)^2 / 2 s, less W times its gradient.
template <typename T>
void slopes_of_variances(const Rbm<T>& rbm, Index n, const T* v, const T* weights, const T* precision, T* gradient) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  const Buffer<T> squares_rows(n * visible), squares_sum(visible);
  T* const squares = squares_rows.data();
  T* const z = gradient + visible * hidden + visible + hidden;
  parallel_for(n, layer_rows(visible), [=](Index begin, Index end) {
    for (Index row = begin; row < end; ++row)
      map_vectors(
          visible, squares + row * visible, [](Vec<T> e, Vec<T> b) { return (e - b) * (e - b); }, v + row * visible,
          rbm.visible_bias);
  });
  matmul(false, false, 1, visible, n, T(0.5), weights, squares, T(0), squares_sum.data());
  for_each_segment(rbm, [&](const Segment& segment, Index first) {
    if (segment.kind != Unit::gaussian) return;
    for (Index i = segment.begin; i < segment.end; ++i)
      z[first + i - segment.begin] =
          precision[i] * squares_sum.data()[i] -
          static_cast<T>(sum_of_products<T>(hidden, rbm.weight + i * hidden, gradient + i * hidden));
  });
}

}  // namespace

template <typename T> void rbm_without_gaps(Index n, const T* given, T* numbers) {
  for (Index i = 0; i < n; ++i) numbers[i] = std::isnan(given[i]) ? T(0) : given[i];
}

template <typename T> Index rbm_first_part_group(Index n, Index visible, const Segment& segment, const T* given) {
  const Index groups = (segment.end - segment.begin) / segment.group;
  for (Index i = 0; i < n * groups; ++i) {
    const T* const x = given + i / groups * visible + segment.begin + i % groups * segment.group;
    const Index held = std::count_if(x, x + segment.group, [](T e) { return !std::isnan(e); });
    if (held != 0 && held != segment.group) return i;
  }
  return n * groups;
}

template <typename T>
void rbm_clamped_gibbs(const Rbm<T>& rbm, Index n, const T* given, const T* state, Index k, std::uint64_t key,
                       std::uint64_t step, T* samples, T* means, const Interruption& interruption) {
  const Index hidden_size = n * rbm.n_hidden, visible_size = n * rbm.n_visible;
  const Buffer<T> hidden(hidden_size);
  T* const h = hidden.data();
  copy(visible_size, state, samples);
  hold(visible_size, given, samples);
  for (Index i = 0; i < k; ++i, step += 2) {
    if (i > 0) interruption();
    rbm_hidden(rbm, n, samples, h);
    rbm_draw_hidden(rbm, key, step, n, h, h);
    rbm_visible(rbm, n, h, means);
    rbm_draw_visible(rbm, key, step + 1, n, means, samples);
    hold(visible_size, given, samples);
  }
  hold(visible_size, given, means);
}

template <typename T>
void rbm_statistics(const Rbm<T>& rbm, Index n, Index data, const T* v, const T* weights, T* gradient,
                    const ContrastTerms<T>& terms) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  const Buffer<T> hidden_means(n * hidden), scaled_rows(rbm.n_gaussian ? n * visible : 0), of_data(visible + hidden),
      precisions = powers_of_variance(rbm, -1);
  T* const p = hidden_means.data();
  if (rbm.n_gaussian) scale_by_precision(n, visible, precisions.data(), v, scaled_rows.data());
  const T* const scaled = rbm.n_gaussian ? scaled_rows.data() : v;
  hidden_of_scaled(rbm, n, scaled, p);
  double total = 0;
  for (Index row = 0; row < data; ++row) total += static_cast<double>(weights[row]);
  const bool has_means = total != 0;
  if (has_means) {
    const T by = static_cast<T>(1 / total);
    matmul(false, false, 1, visible, data, by, weights, v, T(0), of_data.data());
    matmul(false, false, 1, hidden, data, by, weights, p, T(0), of_data.data() + visible);
  }
  T* const to_visible = gradient + visible * hidden;
  T* const to_hidden = to_visible + visible;
  matmul(false, false, 1, visible, n, T(1), weights, scaled, T(0), to_visible);
  matmul(false, false, 1, hidden, n, T(1), weights, p, T(0), to_hidden);
  parallel_for(n, layer_rows(hidden), [=](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const Vec<T> weight = splat(weights[row]);
      map_vectors(hidden, p + row * hidden, [=](Vec<T> e) { return weight * e; }, p + row * hidden);
    }
  });
  matmul(true, false, visible, hidden, n, T(1), scaled, p, T(0), gradient);
  if (rbm.n_gaussian) {
    if (terms.fixed_variance) std::fill_n(to_hidden + hidden, rbm.n_gaussian, T(0));
    else slopes_of_variances(rbm, n, v, weights, precisions.data(), gradient);
  }
  ContrastTerms<T> added = terms;
  if (!has_means) added.offsets = added.activity = nullptr;
  add_terms(rbm, added, of_data.data(), of_data.data() + visible, rbm.n_gaussian ? precisions.data() : nullptr,
            gradient);
}

#define DLCORE_INSTANTIATE(T)                                                                                        \
  template void rbm_without_gaps(Index, const T*, T*);                                                               \
  template Index rbm_first_part_group(Index, Index, const Segment&, const T*);                                       \
  template void rbm_clamped_gibbs(const Rbm<T>&, Index, const T*, const T*, Index, std::uint64_t, std::uint64_t, T*, \
                                  T*, const Interruption&);                                                          \
  template void rbm_statistics(const Rbm<T>&, Index, Index, const T*, const T*, T*, const ContrastTerms<T>&);
DLCORE_INSTANTIATE(float)
DLCORE_INSTANTIATE(double)
#undef DLCORE_INSTANTIATE

}  // namespace dlcore::DLCORE_DEVICE
