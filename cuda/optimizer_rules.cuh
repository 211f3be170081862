// What an optimizer does to one element: v is grad, theta, and the state in the order of the call.
#pragma once

#include <type_traits>

#include "../csrc/optimizer.h"
#include "lanes.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <typename T> __device__ T sign_of(T x) {
  return x > T(0) ? T(1) : x < T(0) ? T(-1) : x;  // zeros and NaN stay
}

// g = scale grad + decay theta. A decay of 0 does not touch theta: 0 times infinity would be NaN.
template <typename T> struct Gradient {
  T scale, decay;
  Gradient(double scale_, double decay_) : scale(static_cast<T>(scale_)), decay(static_cast<T>(decay_)) {}
  __device__ T operator()(T grad, T theta) const {
    const T g = scale * grad;
    return decay == T(0) ? g : g + decay * theta;
  }
};

// A rule, and in double what its gradient is multiplied by.
template <typename F> struct Scaled {
  F rule;
  double scale;
};

// The rule with another factor of its gradient, in place.
template <typename F> __device__ inline void scale_gradient(F& rule, double scale) {
  const auto set = [scale](auto& to) { to = static_cast<std::remove_reference_t<decltype(to)>>(scale); };
  if constexpr (requires { rule.gradient; }) set(rule.gradient.scale);
  else if constexpr (requires { rule.of; }) set(rule.of.gradient.scale);
  else if constexpr (requires { rule.scale; }) set(rule.scale);
}

template <typename T> struct PlainSgd {
  Gradient<T> gradient;
  T lr;
  __device__ void operator()(T (&v)[2]) const { v[1] -= lr * gradient(v[0], v[1]); }
};

template <typename T> struct Sgd {
  Gradient<T> gradient;
  T lr, momentum, take;
  bool first_step, nesterov;
  __device__ void operator()(T (&v)[3]) const {
    const T g = gradient(v[0], v[1]);
    v[2] = first_step ? g : momentum * v[2] + take * g;
    v[1] -= lr * (nesterov ? g + momentum * v[2] : v[2]);
  }
};

template <typename T> struct Adagrad {
  Gradient<T> gradient;
  T lr, eps;
  __device__ void operator()(T (&v)[3]) const {
    const T g = gradient(v[0], v[1]);
    v[2] += g * g;
    v[1] -= lr * (g / (std::sqrt(v[2]) + eps));
  }
};

// With or without a momentum buffer and an average of gradients, in this order.
template <typename T, bool has_momentum, bool centred> struct Rmsprop {
  static constexpr int count = 3 + has_momentum + centred;
  Gradient<T> gradient;
  T lr, eps, keep, take, momentum;
  __device__ void operator()(T (&v)[count]) const {
    const T g = gradient(v[0], v[1]);
    T variance = keep * v[2] + take * (g * g);
    v[2] = variance;
    if constexpr (centred) {
      T& average = v[count - 1];
      average = keep * average + take * g;
      variance -= average * average;
      variance = variance < T(0) ? T(0) : variance;
    }
    T d = g / (std::sqrt(variance) + eps);
    if constexpr (has_momentum) {
      d = momentum * v[3] + d;
      v[3] = d;
    }
    v[1] -= lr * d;
  }
};

template <typename T> struct Adadelta {
  Gradient<T> gradient;
  T lr, eps, keep, take;
  __device__ void operator()(T (&v)[4]) const {
    const T g = gradient(v[0], v[1]);
    v[2] = keep * v[2] + take * (g * g);
    const T d = std::sqrt((v[3] + eps) / (v[2] + eps)) * g;
    v[3] = keep * v[3] + take * (d * d);
    v[1] -= lr * d;
  }
};

// The coefficients that Adam and its kin share, rounded once.
template <typename T> struct Moments {
  Gradient<T> gradient;
  T keep1, take1, keep2, take2, inverse_correction, eps, shrink;

  explicit Moments(const AdamOptions& o)
      : gradient(o.grad_scale, o.decoupled ? 0 : o.weight_decay),
        keep1(static_cast<T>(o.beta1)),
        take1(static_cast<T>(1 - o.beta1)),
        keep2(static_cast<T>(o.beta2)),
        take2(static_cast<T>(1 - o.beta2)),
        inverse_correction(static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(o.step))))),
        eps(static_cast<T>(o.eps)),
        shrink(static_cast<T>(o.decoupled ? 1 - o.lr * o.weight_decay : 1)) {}

  __device__ T denominator(T second) const { return std::sqrt(second) * inverse_correction + eps; }
};

template <typename T, bool keeps_maximum> struct Adam {
  Moments<T> of;
  T step_size;
  __device__ void operator()(T (&v)[4 + keeps_maximum]) const {
    const T g = of.gradient(v[0], v[1]);
    v[2] = of.keep1 * v[2] + of.take1 * g;
    T second = of.keep2 * v[3] + of.take2 * (g * g);
    v[3] = second;
    if constexpr (keeps_maximum) {
      second = v[4] > second ? v[4] : second;
      v[4] = second;
    }
    v[1] = of.shrink * v[1] - step_size * (v[2] / of.denominator(second));
  }
};

template <typename T> struct Nadam {
  Moments<T> of;
  T rate, moment_rate;
  __device__ void operator()(T (&v)[4]) const {
    const T g = of.gradient(v[0], v[1]);
    v[2] = of.keep1 * v[2] + of.take1 * g;
    v[3] = of.keep2 * v[3] + of.take2 * (g * g);
    v[1] = of.shrink * v[1] - (rate * g + moment_rate * v[2]) / of.denominator(v[3]);
  }
};

template <typename T> struct Rprop {
  T shrink, grow, least, most, scale;
  __device__ void operator()(T (&v)[4]) const {
    const T g = scale * v[0];
    const T agreement = sign_of(g) * sign_of(v[2]);  // the product of the gradients could underflow
    T size = v[3] * (agreement > T(0) ? grow : agreement < T(0) ? shrink : T(1));
    size = size < least ? least : size > most ? most : size;
    v[2] = agreement < T(0) ? T(0) : g;
    v[3] = size;
    v[1] -= sign_of(v[2]) * size;
  }
};

template <typename T> struct Lion {
  T lr, shrink, keep1, take1, keep2, take2, scale;
  __device__ void operator()(T (&v)[3]) const {
    const T g = scale * v[0], m = v[2];
    v[2] = keep2 * m + take2 * g;
    v[1] = shrink * v[1] - lr * sign_of(keep1 * m + take1 * g);
  }
};

template <typename T> struct AverageWeights {
  T take;
  __device__ void operator()(T (&v)[2]) const { v[1] += take * (v[0] - v[1]); }
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
