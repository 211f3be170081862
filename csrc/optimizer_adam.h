// Adam and its kin: AdamW, AMSGrad, NAdam.
#pragma once

#include "optimizer.h"
#include "optimizer_vec.h"

namespace dlcore::DLCORE_DEVICE {

// The coefficients that the family shares, rounded once.
template <typename T> struct Moments {
  T keep1, take1, keep2, take2, inverse_correction, eps, shrink;
  Gradient<T> gradient;

  Moments(const AdamOptions& o, const T* grad)
      : keep1(static_cast<T>(o.beta1)),
        take1(static_cast<T>(1 - o.beta1)),
        keep2(static_cast<T>(o.beta2)),
        take2(static_cast<T>(1 - o.beta2)),
        inverse_correction(static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(o.step))))),
        eps(static_cast<T>(o.eps)),
        shrink(static_cast<T>(o.decoupled ? 1 - o.lr * o.weight_decay : 1)),
        gradient{dlcore::DLCORE_DEVICE::gradient(grad, o.grad_scale, o.decoupled ? 0 : o.weight_decay)} {}

  DLCORE_INLINE Vec<T> denominator(Vec<T> v) const { return square_root<T>(v) * inverse_correction + eps; }
};

template <typename T, bool keeps_maximum>
void adam_pass(Index n, const AdamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment,
               T* max_second_moment) {
  const Moments<T> of(options, grad);
  const T step_size = static_cast<T>(options.lr / (1 - std::pow(options.beta1, static_cast<double>(options.step))));
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> x = at.get(theta), g = of.gradient.at(at, x);
    const Vec<T> m = of.keep1 * at.get(first_moment) + of.take1 * g;
    Vec<T> v = of.keep2 * at.get(second_moment) + of.take2 * (g * g);
    at.set(first_moment, m);
    at.set(second_moment, v);
    if constexpr (keeps_maximum) {
      const Vec<T> most = at.get(max_second_moment);
      v = most > v ? most : v;
      at.set(max_second_moment, v);
    }
    at.set(theta, of.shrink * x - step_size * (m / of.denominator(v)));
  });
}

template <typename T>
void nadam_pass(Index n, const NadamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment) {
  const Moments<T> of(options.adam, grad);
  const T rate = static_cast<T>(options.adam.lr * (1 - options.mu) / (1 - options.mu_product));
  const T moment_rate = static_cast<T>(options.adam.lr * options.mu_next / (1 - options.mu_product * options.mu_next));
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> x = at.get(theta), g = of.gradient.at(at, x);
    const Vec<T> m = of.keep1 * at.get(first_moment) + of.take1 * g;
    const Vec<T> v = of.keep2 * at.get(second_moment) + of.take2 * (g * g);
    at.set(first_moment, m);
    at.set(second_moment, v);
    at.set(theta, of.shrink * x - (rate * g + moment_rate * m) / of.denominator(v));
  });
}

}  // namespace dlcore::DLCORE_DEVICE
