// Activations on vectors, for the kernels that end in one (the GEMM epilogue, the activation family).
#pragma once

#include <type_traits>

#include "activation.h"
#include "vecmath.h"

namespace dlcore::DLCORE_DEVICE {

// Amplitude and slope of LeCun's scaled tanh: f(1) = 1, f(-1) = -1 (LeCun, Bottou, Orr, Mueller 1998, section 4.4).
inline constexpr double lecun_amplitude = 1.7159;
inline constexpr double lecun_slope = 2.0 / 3.0;

// f(x). The comparisons are written so that NaN passes through.
template <Activation kind, typename T> DLCORE_INLINE Vec<T> activate(Vec<T> x, [[maybe_unused]] T parameter) {
  const Vec<T> zero{};
  if constexpr (kind == Activation::sigmoid) return vsigmoid<T>(x);
  else if constexpr (kind == Activation::tanh) return vtanh<T>(x);
  else if constexpr (kind == Activation::relu) return x < zero ? zero : x;
  else if constexpr (kind == Activation::leaky_relu) return x < zero ? parameter * x : x;
  else if constexpr (kind == Activation::elu) return x > zero ? x : parameter * vexpm1<T>(x > zero ? zero : x);
  else if constexpr (kind == Activation::softplus) return vsoftplus<T>(x);
  else if constexpr (kind == Activation::lecun_tanh)
    return static_cast<T>(lecun_amplitude) * vtanh<T>(static_cast<T>(lecun_slope) * x);
  else return x;
}

// dy f'(x) from y = f(x). At the kink of relu and leaky_relu (y = 0) the slope is the one below 0; where y is NaN they
// pass dy on.
template <Activation kind, typename T>
DLCORE_INLINE Vec<T> activate_grad(Vec<T> dy, Vec<T> y, [[maybe_unused]] T parameter) {
  const Vec<T> zero{};
  if constexpr (kind == Activation::sigmoid) return dy * (y * (1 - y));
  else if constexpr (kind == Activation::tanh) return dy * ((1 - y) * (1 + y));
  else if constexpr (kind == Activation::relu) return y <= zero ? zero : dy;
  else if constexpr (kind == Activation::leaky_relu) return y <= zero ? parameter * dy : dy;
  else if constexpr (kind == Activation::elu) return y <= zero ? dy * (y + parameter) : dy;
  else if constexpr (kind == Activation::softplus) return dy * -vexpm1<T>(-y);
  else if constexpr (kind == Activation::lecun_tanh) {
    const Vec<T> t = y * static_cast<T>(1 / lecun_amplitude);
    return dy * (static_cast<T>(lecun_amplitude * lecun_slope) * ((1 - t) * (1 + t)));
  } else return dy;
}

// Calls f with the kind as a compile-time constant: f(std::integral_constant<Activation, kind>{}).
template <typename F> DLCORE_INLINE decltype(auto) with_activation(Activation kind, F&& f) {
  using enum Activation;
  switch (kind) {
    case sigmoid: return f(std::integral_constant<Activation, sigmoid>{});
    case tanh: return f(std::integral_constant<Activation, tanh>{});
    case relu: return f(std::integral_constant<Activation, relu>{});
    case leaky_relu: return f(std::integral_constant<Activation, leaky_relu>{});
    case elu: return f(std::integral_constant<Activation, elu>{});
    case softplus: return f(std::integral_constant<Activation, softplus>{});
    case lecun_tanh: return f(std::integral_constant<Activation, lecun_tanh>{});
    default: return f(std::integral_constant<Activation, identity>{});
  }
}

}  // namespace dlcore::DLCORE_DEVICE
