// Activations and the softmax row. The gradient is computed from the output y: each of these functions is invertible
// where its derivative is not constant, so nothing but y has to be kept.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// `parameter`: leaky_relu: slope below 0; elu: alpha. lecun_tanh is 1.7159 tanh(2x/3).
enum class Activation { identity, sigmoid, tanh, relu, leaky_relu, elu, softplus, lecun_tanh };

template <typename T> void activation(Activation kind, T parameter, Index n, const T* x, T* y);  // x may be y
template <typename T> void activation_grad(Activation kind, T parameter, Index n, const T* dy, const T* y, T* dx);

template <typename T> void softmax(Index rows, Index columns, const T* x, T* y);
template <typename T> void softmax_grad(Index rows, Index columns, const T* dy, const T* y, T* dx);
template <typename T> void log_softmax(Index rows, Index columns, const T* x, T* y);
template <typename T> void log_softmax_grad(Index rows, Index columns, const T* dy, const T* y, T* dx);

}  // namespace dlcore::DLCORE_DEVICE
