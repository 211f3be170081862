// Activations of one element, for the kernels that end in one; see csrc/activation.h. Comparisons let NaN through.
#pragma once

#include <cmath>

#include "../csrc/activation.h"
#include "launch.cuh"

namespace dlcore::DLCORE_DEVICE {

// With e = e^-|x| it is 1 - e / (1 + e), or e - e (e / (1 + e)): relative accuracy on both sides.
template <typename T> __device__ inline T sigmoid(T x) {
  const T e = std::exp(-std::fabs(x)), factor = x < T(0) ? e : T(1);
  return factor - factor * (e / (1 + e));
}

template <typename T> __device__ inline T softplus(T x) {
  return (x > T(0) ? x : T(0)) + std::log1p(std::exp(-std::fabs(x)));
}

template <typename T> __device__ inline T activate(Activation kind, T x, T parameter) {
  switch (kind) {
    case Activation::identity: return x;
    case Activation::sigmoid: return sigmoid(x);
    case Activation::tanh: return std::tanh(x);
    case Activation::relu: return x < T(0) ? T(0) : x;
    case Activation::leaky_relu: return x < T(0) ? parameter * x : x;
    case Activation::elu: return x > T(0) ? x : parameter * std::expm1(x);
    case Activation::softplus: return softplus(x);
    case Activation::lecun_tanh: return static_cast<T>(1.7159) * std::tanh(static_cast<T>(2.0 / 3.0) * x);
  }
  return x;
}

}  // namespace dlcore::DLCORE_DEVICE
