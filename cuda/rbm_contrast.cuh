// Contrastive divergence of rbm.cu and of its epoch: see csrc/rbm.h.
#pragma once

#include "rbm_terms.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <typename T> void copy(Index n, const T* from, T* to) {
  if (n > 0) copy_within(to, from, n * static_cast<Index>(sizeof(T)));
}

// Rows below `split`, the data, count -factor times.
template <typename T> struct SignedElement {
  Index columns, split;
  double factor;
  const T* x;
  __device__ double operator()(Index row, Index column) const {
    const double value = static_cast<double>(x[row * columns + column]);
    return row < split ? -factor * value : value;
  }
};
template <typename T> struct StoreQuotient {
  double divisor;
  T* to;
  __device__ void operator()(Index i, double sum) const { to[i] = static_cast<T>(sum / divisor); }
};
// to[j] = (sum of rows [split, rows) of x - factor * sum of rows [0, split)) / divisor.
template <typename T>
void difference_of_column_sums(Index rows, Index split, Index columns, const T* x, double factor, double divisor,
                               T* to) {
  column_sums("rbm: column sums", rows, columns, SignedElement<T>{columns, split, factor, x},
              StoreQuotient<T>{divisor, to});
}

// (v - b)^2 of the units from `first` on.
template <typename T> struct SignedSquare {
  Index columns, split, first;
  double factor;
  const T *x, *centre;
  __device__ double operator()(Index row, Index column) const {
    const T d = x[row * columns + first + column] - centre[first + column];
    const double square = static_cast<double>(d * d);
    return row < split ? -factor * square : square;
  }
};
template <typename T> struct AddScaled {
  double divisor;
  const T* factor;
  T* to;
  __device__ void operator()(Index i, double sum) const {
    to[i] += static_cast<T>(static_cast<double>(factor[i]) * sum / divisor);
  }
};
template <typename T> struct ProductOfRows {
  Index columns;
  const T *a, *b;
  __device__ double operator()(Index row, Index column) const {
    return static_cast<double>(a[row * columns + column]) * static_cast<double>(b[row * columns + column]);
  }
};
template <typename T> struct StoreNegative {
  T* to;
  __device__ void operator()(Index i, double sum) const { to[i] = static_cast<T>(-sum); }
};

template <typename T> struct SquaredDistance {
  const T *a, *b;
  __device__ double operator()(Index i) const {
    const T d = a[i] - b[i];
    return static_cast<double>(d * d);
  }
};

// The workspace of a contrast, kept from batch to batch. Data above, chains below: the statistics of both are one
// product.
template <typename T> struct Contrast {
  Index n, n_chains;
  Buffer<T> visible, hidden, state, precision, scaled, means;

  Contrast(const Rbm<T>& rbm, Index cases, Index chains)
      : n(cases),
        n_chains(chains),
        visible((cases + chains) * rbm.n_visible),
        hidden((cases + chains) * rbm.n_hidden),
        state(chains * rbm.n_hidden),
        scaled(rbm.n_gaussian ? (cases + chains) * rbm.n_visible : 0),
        means(chains * rbm.n_visible) {}
};

// rbm_cd of the cases that stand at the head of work.visible.
template <typename T>
void contrast(const Rbm<T>& rbm, Contrast<T>& work, Index k, std::uint64_t key, std::uint64_t step, T* chains,
              T* gradient, double* error, const Interruption& interruption, const ContrastTerms<T>& terms) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden, n = work.n, n_chains = work.n_chains;
  const Index rows = n + n_chains;
  T* const v_data = work.visible.data();
  T* const v_chain = v_data + n * visible;
  T* const h_data = work.hidden.data();
  T* const h_chain = h_data + n * hidden;
  T* const h = work.state.data();
  const Index v_size = n_chains * visible, h_size = n_chains * hidden;
  const double data_weight = static_cast<double>(n_chains) / static_cast<double>(n);

  // Where no unit is Gaussian, v / s is v itself.
  const bool gaussian = rbm.n_gaussian > 0;
  if (gaussian) work.precision = powers_of_variance(rbm, -1);
  T* const scaled_data = gaussian ? work.scaled.data() : v_data;
  T* const scaled_chain = scaled_data + n * visible;
  const auto scale = [&](Index first, Index count) {
    if (gaussian)
      scale_by_precision<T>(count, visible, work.precision.data(), v_data + first * visible,
                            scaled_data + first * visible);
  };

  // The data's means enter the statistics with their sign and weight.
  scale(0, n);
  if (chains) copy(h_size, static_cast<const T*>(chains), h);
  else sample_hidden<T>(rbm, n, scaled_data, key, step++, h, h_data, T(-1));
  for (Index i = 0; i < k; ++i) {
    if (i > 0) {
      interruption();
      sample_hidden<T>(rbm, n_chains, scaled_chain, key, step++, h);
    }
    const bool compared = !chains && i == 0;
    sample_visible<T>(rbm, n_chains, h, key, step++, v_chain, compared ? work.means.data() : nullptr);
    if (compared)
      add_up("rbm: reconstruction error", v_size, SquaredDistance<T>{v_data, work.means.data()},
             1 / static_cast<double>(n), error);
    scale(n, n_chains);
  }
  if (chains) {
    for_each("rbm: no error", 1, 1, FillWith<double>{error, 0.0});
    hidden_of_scaled<T>(rbm, n, scaled_data, h_data);
    map<T>("rbm: weigh", n * hidden, h_data, Times<T>{static_cast<T>(-data_weight)}, static_cast<const T*>(h_data));
    sample_hidden<T>(rbm, n_chains, scaled_chain, key, step, h, h_chain);
  } else {
    hidden_of_scaled<T>(rbm, n_chains, scaled_chain, h_chain);
  }

  const double cases = static_cast<double>(n_chains);
  matmul<T>(true, false, visible, hidden, rows, static_cast<T>(1 / cases), scaled_data, h_data, T(0), gradient);
  T* const visible_gradient = gradient + visible * hidden;
  difference_of_column_sums<T>(rows, n, visible, scaled_data, data_weight, cases, visible_gradient);
  difference_of_column_sums<T>(rows, n, hidden, h_data, -1.0, cases, visible_gradient + visible);
  T* const z_gradient = visible_gradient + visible + hidden;
  for_each_segment(rbm, [&](const Segment& segment, Index first) {
    if (segment.kind != Unit::gaussian || terms.fixed_variance) return;
    const Index begin = segment.begin, units = segment.end - begin;
    row_sums("rbm: variances", units, hidden,
             ProductOfRows<T>{hidden, rbm.weight + begin * hidden, gradient + begin * hidden},
             StoreNegative<T>{z_gradient + first});
    column_sums("rbm: variances", rows, units,
                SignedSquare<T>{visible, n, begin, data_weight, v_data, rbm.visible_bias},
                AddScaled<T>{2 * cases, work.precision.data() + begin, z_gradient + first});
  });
  if (terms.fixed_variance) for_each("rbm: fixed variances", 1, rbm.n_gaussian, FillWith<T>{z_gradient, T(0)});
  if (terms.offsets || terms.activity || terms.weight_decay != 0 || (terms.scaled_steps && gaussian)) {
    const Buffer<T> means(visible + hidden);
    if (terms.offsets || terms.activity) {  // the data's hidden means stand there times -data_weight
      difference_of_column_sums<T>(n, 0, visible, v_data, 0.0, static_cast<double>(n), means.data());
      difference_of_column_sums<T>(n, 0, hidden, h_data, 0.0, -cases, means.data() + visible);
    }
    add_terms<T>(rbm, terms, means.data(), means.data() + visible, work.precision.data(), gradient);
  }
  if (chains) copy(h_size, static_cast<const T*>(h), chains);
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
