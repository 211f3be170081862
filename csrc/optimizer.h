// First-order optimizers: one pass over the flat parameters theta and the state, in place. The rules are PyTorch's; the
// coefficients are computed in double and rounded once to T. Arrays are (n,) and do not overlap.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// g += weight_decay theta
// velocity = first_step ? g : momentum velocity + (1 - dampening) g
// theta -= lr (nesterov ? g + momentum velocity : velocity); theta -= lr g where velocity is null
struct SgdOptions {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, first_step;
};
template <typename T> void sgd(Index n, const SgdOptions& options, const T* grad, T* theta, T* velocity);

// g += weight_decay theta;  sum_of_squares += g^2;  theta -= lr g / (sqrt(sum_of_squares) + eps)
struct AdagradOptions {
  double lr, eps, weight_decay;
};
template <typename T> void adagrad(Index n, const AdagradOptions& options, const T* grad, T* theta, T* sum_of_squares);

// g += weight_decay theta
// square_average = alpha square_average + (1 - alpha) g^2
// gradient_average = alpha gradient_average + (1 - alpha) g            where it is not null (centred)
// d = g / (sqrt(square_average - gradient_average^2) + eps)            a difference rounded below 0 counts as 0
// momentum_buffer = momentum momentum_buffer + d; theta -= lr momentum_buffer; theta -= lr d where it is null
struct RmspropOptions {
  double lr, alpha, eps, weight_decay, momentum;
};
template <typename T>
void rmsprop(Index n, const RmspropOptions& options, const T* grad, T* theta, T* square_average, T* momentum_buffer,
             T* gradient_average);

// adam: g += weight_decay theta. adamw: theta -= lr weight_decay theta. Then, with step counted from 1,
// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
// theta -= lr / (1 - beta1^step) m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
struct AdamOptions {
  double lr, beta1, beta2, eps, weight_decay;
  Index step;
};
template <typename T>
void adam(Index n, const AdamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment);
template <typename T>
void adamw(Index n, const AdamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment);

}  // namespace dlcore::DLCORE_DEVICE
