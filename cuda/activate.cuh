// The activation of one element by a kind that is known only at run time: for the kernels that end in one.
#pragma once

#include "launch.cuh"

#include "../csrc/activation_vec.h"

namespace dlcore::DLCORE_DEVICE {

template <typename T> __device__ inline T activate(Activation kind, T x, T parameter) {
  switch (kind) {
    case Activation::identity: return x;
    case Activation::sigmoid: return activate<Activation::sigmoid, T>(x, parameter);
    case Activation::tanh: return activate<Activation::tanh, T>(x, parameter);
    case Activation::relu: return activate<Activation::relu, T>(x, parameter);
    case Activation::leaky_relu: return activate<Activation::leaky_relu, T>(x, parameter);
    case Activation::elu: return activate<Activation::elu, T>(x, parameter);
    case Activation::softplus: return activate<Activation::softplus, T>(x, parameter);
    case Activation::lecun_tanh: return activate<Activation::lecun_tanh, T>(x, parameter);
  }
  return x;
}

}  // namespace dlcore::DLCORE_DEVICE
