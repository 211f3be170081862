// What is added to a contrastive gradient: centring, sparsity, weight decay; see csrc/rbm.h.
#pragma once

#include "../csrc/elementwise.h"
#include "rbm_units.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// to = average + rate (mean - average)
template <typename T> struct Slide {
  T rate;
  __device__ T operator()(T mean, T average) const { return average + rate * (mean - average); }
};
template <typename T> void slide(Index n, double rate, const T* mean, const T* average, T* to) {
  map<T>("rbm: average", n, to, Slide<T>{static_cast<T>(rate)}, mean, average);
}

// Row i of [W, b] times scale_i; column `hidden` is b.
template <typename T> struct ScaleRows {
  Index visible, hidden;
  const T* scale;
  T* gradient;
  __device__ void operator()(Index i, Index j) const {
    gradient[j < hidden ? i * hidden + j : visible * hidden + i] *= scale[i];
  }
};
template <typename T> void scale_rows(Index visible, Index hidden, const T* scale, T* gradient) {
  for_each("rbm: scaled steps", visible, hidden + 1, ScaleRows<T>{visible, hidden, scale, gradient});
}

template <typename T> struct Centre {
  Index hidden;
  const T *mu, *lambda, *b, *c;
  T* w;
  __device__ void operator()(Index i, Index j) const {
    T& x = w[i * hidden + j];
    x = x - mu[i] * c[j] - b[i] * lambda[j];
  }
};
// The gradient [W, b, c] in the centred machine's parameters, and the step that it makes of W, b and c; `mu` is scaled
// as v is in W's statistics. Where `variance` is not null the rows of that gradient are multiplied by it.
template <typename T>
void centre(Index visible, Index hidden, const T* mu, const T* lambda, const T* variance, T* gradient) {
  T* const b = gradient + visible * hidden;
  T* const c = b + visible;
  for_each("rbm: centre", visible, hidden, Centre<T>{hidden, mu, lambda, b, c, gradient});
  if (variance) scale_rows(visible, hidden, variance, gradient);
  matmul(false, true, 1, visible, hidden, T(-1), lambda, static_cast<const T*>(gradient), T(1), b);
  matmul(false, false, 1, hidden, visible, T(-1), mu, static_cast<const T*>(gradient), T(1), c);
}

template <typename T> struct Excess {
  T cost, target;
  __device__ T operator()(T activity) const { return cost * (activity - target); }
};
// Row i of W += v_i x, and c += x, which stands as row `visible`.
template <typename T> struct AddOuter {
  Index visible, hidden;
  const T *v, *x;
  T* gradient;
  __device__ void operator()(Index i, Index j) const {
    if (i < visible) gradient[i * hidden + j] += v[i] * x[j];
    else gradient[visible * hidden + visible + j] += x[j];
  }
};

// `visible_mean` and `hidden_mean` are those of the data; `precision` is null where no unit is Gaussian. Their states
// change when nothing can fail any more.
template <typename T>
void add_terms(const Rbm<T>& rbm, const ContrastTerms<T>& terms, const T* visible_mean, const T* hidden_mean,
               const T* precision, T* gradient) {
  const Buffer<T> variance = terms.scaled_steps ? powers_of_variance(rbm, 1) : Buffer<T>();
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden, units = visible + hidden;
  const Buffer<T> scaled_(visible), offsets_(terms.offsets ? units : 0), activity_(terms.activity ? 2 * hidden : 0);
  T* const offsets = offsets_.data();
  T* const activity = activity_.data();
  const auto scaled = [&](const T* v) {
    if (!precision) return v;
    scale_by_precision(1, visible, precision, v, scaled_.data());
    return static_cast<const T*>(scaled_.data());
  };
  if (terms.offsets) {
    slide<T>(visible, terms.offset_rate, visible_mean, terms.offsets, offsets);
    slide<T>(hidden, terms.offset_rate, hidden_mean, terms.offsets + visible, offsets + visible);
    centre<T>(visible, hidden, scaled(offsets), offsets + visible, variance.data(), gradient);
  } else if (variance.data()) {
    scale_rows<T>(visible, hidden, variance.data(), gradient);
  }
  if (terms.activity) {
    T* const excess = activity + hidden;
    slide<T>(hidden, 1 - terms.sparsity_decay, hidden_mean, terms.activity, activity);
    map<T>("rbm: sparsity", hidden, excess,
           Excess<T>{static_cast<T>(terms.sparsity_cost), static_cast<T>(terms.sparsity_target)},
           static_cast<const T*>(activity));
    for_each("rbm: sparsity", visible + 1, hidden,
             AddOuter<T>{visible, hidden, variance.data() ? visible_mean : scaled(visible_mean), excess, gradient});
  }
  if (terms.weight_decay != 0) axpy(visible * hidden, static_cast<T>(terms.weight_decay), rbm.weight, gradient);
  const auto keep = [](Index n, const T* from, T* to) { copy_within(to, from, n * static_cast<Index>(sizeof(T))); };
  if (terms.offsets) keep(units, offsets, terms.offsets);
  if (terms.activity) keep(hidden, activity, terms.activity);
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
