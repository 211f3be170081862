// What is added to a contrastive gradient: centring, sparsity, weight decay; see rbm.h.
#pragma once

#include <algorithm>

#include "../elementwise.h"
#include "../matmul.h"
#include "../memory.h"
#include "../parallel.h"
#include "units.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// to = average + rate (mean - average).
template <typename T> void slide(Index n, double rate, const T* mean, const T* average, T* to) {
  const Vec<T> take = splat(static_cast<T>(rate));
  map_vectors(n, to, [=](Vec<T> a, Vec<T> m) { return a + take * (m - a); }, average, mean);
}

// x_i *= scale_i of rows of W, and of b.
template <typename T> void scale_rows(Index visible, Index hidden, const T* scale, T* gradient) {
  parallel_for(visible, std::max<Index>(1, elementwise_grain / (hidden + 1)), [=](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      T* const row = gradient + i * hidden;
      const Vec<T> by = splat(scale[i]);
      map_vectors(hidden, row, [=](Vec<T> w) { return by * w; }, row);
      gradient[visible * hidden + i] *= scale[i];
    }
  });
}

// The gradient [W, b, c] in the centred machine's parameters, and the step that it makes of W, b and c; `mu` is scaled
// as v is in W's statistics. Where `variance` is not null the rows of that gradient are multiplied by it.
template <typename T>
void centre(Index visible, Index hidden, const T* mu, const T* lambda, const T* variance, T* gradient) {
  T* const b = gradient + visible * hidden;
  T* const c = b + visible;
  parallel_for(visible, std::max<Index>(1, elementwise_grain / (hidden + 1)), [=](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      T* const row = gradient + i * hidden;
      const Vec<T> m = splat(mu[i]), d = splat(b[i]);
      map_vectors(hidden, row, [=](Vec<T> w, Vec<T> dc, Vec<T> l) { return w - m * dc - d * l; }, row, c, lambda);
    }
  });
  if (variance) scale_rows(visible, hidden, variance, gradient);
  matmul(false, true, 1, visible, hidden, T(-1), lambda, gradient, T(1), b);
  matmul(false, false, 1, hidden, visible, T(-1), mu, gradient, T(1), c);
}

// W += v x^T of the gradient, and c += x.
template <typename T> void add_outer(Index visible, Index hidden, const T* v, const T* x, T* gradient) {
  parallel_for(visible, std::max<Index>(1, elementwise_grain / (hidden + 1)), [=](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      T* const row = gradient + i * hidden;
      const Vec<T> by = splat(v[i]);
      map_vectors(hidden, row, [=](Vec<T> w, Vec<T> e) { return w + by * e; }, row, x);
    }
  });
  T* const c = gradient + visible * hidden + visible;
  map_vectors(hidden, c, [](Vec<T> a, Vec<T> e) { return a + e; }, c, x);
}

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
    slide(visible, terms.offset_rate, visible_mean, terms.offsets, offsets);
    slide(hidden, terms.offset_rate, hidden_mean, terms.offsets + visible, offsets + visible);
    centre(visible, hidden, scaled(offsets), offsets + visible, variance.data(), gradient);
  } else if (variance.data()) {
    scale_rows(visible, hidden, variance.data(), gradient);
  }
  if (terms.activity) {
    T* const excess = activity + hidden;
    slide(hidden, 1 - terms.sparsity_decay, hidden_mean, terms.activity, activity);
    const Vec<T> cost = splat(static_cast<T>(terms.sparsity_cost)),
                 target = splat(static_cast<T>(terms.sparsity_target));
    map_vectors(hidden, excess, [=](Vec<T> q) { return cost * (q - target); }, activity);
    add_outer(visible, hidden, variance.data() ? visible_mean : scaled(visible_mean), excess, gradient);
  }
  if (terms.weight_decay != 0) axpy(visible * hidden, static_cast<T>(terms.weight_decay), rbm.weight, gradient);
  if (terms.offsets) std::copy(offsets, offsets + units, terms.offsets);
  if (terms.activity) std::copy(activity, activity + hidden, terms.activity);
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
