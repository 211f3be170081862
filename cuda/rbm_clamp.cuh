// Gibbs sampling with units held, and the statistics of rows, of rbm.cu: see csrc/rbm/chains.h.
#pragma once

#include "../csrc/rbm/chains.h"
#include "rbm_contrast.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <typename T> struct Hold {
  __device__ T operator()(T given, T x) const { return given == given ? given : x; }
};
// x = given where that is a number, otherwise as it is.
template <typename T> void hold(Index n, const T* given, T* x) {
  map<T>("rbm: hold", n, x, Hold<T>{}, given, static_cast<const T*>(x));
}

template <typename T> struct WithoutGap {
  __device__ T operator()(T x) const { return x == x ? x : T(0); }
};
template <typename T> struct IsPartGroup {
  Index visible, first, groups, group;
  const T* given;
  __device__ bool operator()(Index i) const {
    const T* const x = given + i / groups * visible + first + i % groups * group;
    Index held = 0;
    for (Index j = 0; j < group; ++j) held += x[j] == x[j];
    return held != 0 && held != group;
  }
};

template <typename T> struct Element {
  const T* x;
  __device__ double operator()(Index i) const { return static_cast<double>(x[i]); }
};
struct NotZero {
  __device__ unsigned long long operator()(double x) const { return x != 0; }
};
template <typename T> struct OverTotal {
  const double* total;
  __device__ T operator()(T x) const { return static_cast<T>(1 / *total) * x; }
};
template <typename T> struct TimesOfRow {
  Index columns;
  const T* weights;
  T* x;
  __device__ void operator()(Index row, Index column) const { x[row * columns + column] *= weights[row]; }
};
template <typename T> struct WeightedSquare {
  Index columns, first;
  const T *x, *centre, *weights;
  __device__ double operator()(Index row, Index column) const {
    const T d = x[row * columns + first + column] - centre[first + column];
    return static_cast<double>(weights[row]) * static_cast<double>(d * d);
  }
};

}  // namespace

template <typename T> void rbm_without_gaps(Index n, const T* given, T* numbers) {
  map<T>("rbm: given", n, numbers, WithoutGap<T>{}, given);
}

template <typename T> Index rbm_first_part_group(Index n, Index visible, const Segment& segment, const T* given) {
  const Index groups = (segment.end - segment.begin) / segment.group;
  return first_where("rbm: given", n * groups, IsPartGroup<T>{visible, segment.begin, groups, segment.group, given});
}

template <typename T>
void rbm_clamped_gibbs(const Rbm<T>& rbm, Index n, const T* given, const T* state, Index k, std::uint64_t key,
                       std::uint64_t step, T* samples, T* means, const Interruption& interruption) {
  const Index visible_size = n * rbm.n_visible;
  const Buffer<T> hidden(n * rbm.n_hidden), precision = powers_of_variance(rbm, -1);
  const Buffer<T> scaled(rbm.n_gaussian ? visible_size : 0);
  copy(visible_size, state, samples);
  hold<T>(visible_size, given, samples);
  for (Index i = 0; i < k; ++i, step += 2) {
    if (i > 0) interruption();
    if (rbm.n_gaussian) scale_by_precision<T>(n, rbm.n_visible, precision.data(), samples, scaled.data());
    sample_hidden<T>(rbm, n, rbm.n_gaussian ? scaled.data() : samples, key, step, hidden.data());
    sample_visible<T>(rbm, n, hidden.data(), key, step + 1, samples, i + 1 == k ? means : nullptr);
    hold<T>(visible_size, given, samples);
  }
  hold<T>(visible_size, given, means);
}

template <typename T>
void rbm_statistics(const Rbm<T>& rbm, Index n, Index data, const T* v, const T* weights, T* gradient,
                    const ContrastTerms<T>& terms) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  const Buffer<T> hidden_means(n * hidden), scaled_rows(rbm.n_gaussian ? n * visible : 0), of_data(visible + hidden),
      precisions = powers_of_variance(rbm, -1);
  const Buffer<double> sum(1);
  T* const p = hidden_means.data();
  if (rbm.n_gaussian) scale_by_precision<T>(n, visible, precisions.data(), v, scaled_rows.data());
  const T* const scaled = rbm.n_gaussian ? scaled_rows.data() : v;
  hidden_of_scaled<T>(rbm, n, scaled, p);
  bool has_means = false;
  if (terms.offsets || terms.activity) {  // looked at by the host, but for a graph, which goes on as if there were some
    const Buffer<unsigned long long> is_weighed(1);
    add_up("rbm: weights of the data", data, Element<T>{weights}, 1.0, sum.data());
    map("rbm: weights of the data", 1, is_weighed.data(), NotZero{}, static_cast<const double*>(sum.data()));
    has_means = checked_value(is_weighed.data(), 1) == 1;
  }
  if (has_means) {
    matmul<T>(false, false, 1, visible, data, T(1), weights, v, T(0), of_data.data());
    matmul<T>(false, false, 1, hidden, data, T(1), weights, p, T(0), of_data.data() + visible);
    map<T>("rbm: weigh", visible + hidden, of_data.data(), OverTotal<T>{sum.data()},
           static_cast<const T*>(of_data.data()));
  }
  T* const to_visible = gradient + visible * hidden;
  T* const to_hidden = to_visible + visible;
  matmul<T>(false, false, 1, visible, n, T(1), weights, scaled, T(0), to_visible);
  matmul<T>(false, false, 1, hidden, n, T(1), weights, p, T(0), to_hidden);
  for_each("rbm: weigh", n, hidden, TimesOfRow<T>{hidden, weights, p});
  matmul<T>(true, false, visible, hidden, n, T(1), scaled, p, T(0), gradient);
  T* const z = to_hidden + hidden;
  if (terms.fixed_variance) for_each("rbm: fixed variances", 1, rbm.n_gaussian, FillWith<T>{z, T(0)});
  for_each_segment(rbm, [&](const Segment& segment, Index first) {
    if (segment.kind != Unit::gaussian || terms.fixed_variance) return;
    const Index begin = segment.begin, units = segment.end - begin;
    row_sums("rbm: variances", units, hidden,
             ProductOfRows<T>{hidden, rbm.weight + begin * hidden, gradient + begin * hidden},
             StoreNegative<T>{z + first});
    column_sums("rbm: variances", n, units, WeightedSquare<T>{visible, begin, v, rbm.visible_bias, weights},
                AddScaled<T>{2.0, precisions.data() + begin, z + first});
  });
  ContrastTerms<T> added = terms;
  if (!has_means) added.offsets = added.activity = nullptr;
  add_terms<T>(rbm, added, of_data.data(), of_data.data() + visible, precisions.data(), gradient);
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
