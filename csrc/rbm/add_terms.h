// What is added to a contrastive gradient, of steps that a device brings: slide, scale_rows, centre_weight, excess_of,
// add_outer and keep, declared before this file is included (rbm/terms.h, cuda/rbm_terms.cuh).
#pragma once

#include "../elementwise.h"
#include "../matmul.h"
#include "../memory.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// The gradient [W, b, c] in the centred machine's parameters, and the step that it makes of W, b and c; `mu` is scaled
// as v is in W's statistics. Where `variance` is not null the rows of that gradient are multiplied by it.
template <typename T>
void centre(Index visible, Index hidden, const T* mu, const T* lambda, const T* variance, T* gradient) {
  T* const b = gradient + visible * hidden;
  T* const c = b + visible;
  const T* const weight = gradient;
  centre_weight<T>(visible, hidden, mu, lambda, b, c, gradient);
  if (variance) scale_rows<T>(visible, hidden, variance, gradient);
  matmul(false, true, 1, visible, hidden, T(-1), lambda, weight, T(1), b);
  matmul(false, false, 1, hidden, visible, T(-1), mu, weight, T(1), c);
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
    slide<T>(visible, terms.offset_rate, visible_mean, terms.offsets, offsets);
    slide<T>(hidden, terms.offset_rate, hidden_mean, terms.offsets + visible, offsets + visible);
    centre<T>(visible, hidden, scaled(offsets), offsets + visible, variance.data(), gradient);
  } else if (variance.data()) {
    scale_rows<T>(visible, hidden, variance.data(), gradient);
  }
  if (terms.activity) {
    T* const excess = activity + hidden;
    slide<T>(hidden, 1 - terms.sparsity_decay, hidden_mean, terms.activity, activity);
    excess_of<T>(hidden, static_cast<T>(terms.sparsity_cost), static_cast<T>(terms.sparsity_target), activity, excess);
    add_outer<T>(visible, hidden, variance.data() ? visible_mean : scaled(visible_mean), excess, gradient);
  }
  if (terms.weight_decay != 0) axpy(visible * hidden, static_cast<T>(terms.weight_decay), rbm.weight, gradient);
  if (terms.offsets) keep<T>(units, offsets, terms.offsets);
  if (terms.activity) keep<T>(hidden, activity, terms.activity);
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
