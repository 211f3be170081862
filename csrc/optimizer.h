// First-order optimizers: one pass over the flat parameters theta and the state, in place. The rules are PyTorch's
// where it has them; the coefficients are computed in double and rounded once to T. Arrays are (n,) and do not overlap.
// In all of them g = grad_scale grad, where grad_scale is -1 to ascend and below 1 to clip, and then
// g += weight_decay theta unless the decay is decoupled: theta -= lr weight_decay theta instead. A decay of 0 leaves
// theta out of it.
#pragma once

#include <utility>

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// velocity = first_step ? g : momentum velocity + (1 - dampening) g
// theta -= lr (nesterov ? g + momentum velocity : velocity); theta -= lr g where velocity is null
struct SgdOptions {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, first_step;
  double grad_scale;
};
template <typename T> void sgd(Index n, const SgdOptions& options, const T* grad, T* theta, T* velocity);

// sum_of_squares += g^2;  theta -= lr g / (sqrt(sum_of_squares) + eps)
struct AdagradOptions {
  double lr, eps, weight_decay, grad_scale;
};
template <typename T> void adagrad(Index n, const AdagradOptions& options, const T* grad, T* theta, T* sum_of_squares);

// square_average = alpha square_average + (1 - alpha) g^2
// gradient_average = alpha gradient_average + (1 - alpha) g            where it is not null (centred)
// d = g / (sqrt(square_average - gradient_average^2) + eps)            a difference rounded below 0 counts as 0
// momentum_buffer = momentum momentum_buffer + d; theta -= lr momentum_buffer; theta -= lr d where it is null
struct RmspropOptions {
  double lr, alpha, eps, weight_decay, momentum, grad_scale;
};
template <typename T>
void rmsprop(Index n, const RmspropOptions& options, const T* grad, T* theta, T* square_average, T* momentum_buffer,
             T* gradient_average);

// square_average = rho square_average + (1 - rho) g^2
// d = sqrt((delta_average + eps) / (square_average + eps)) g
// delta_average = rho delta_average + (1 - rho) d^2;  theta -= lr d
struct AdadeltaOptions {
  double lr, rho, eps, weight_decay, grad_scale;
};
template <typename T>
void adadelta(Index n, const AdadeltaOptions& options, const T* grad, T* theta, T* square_average, T* delta_average);

// With step counted from 1, m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
// max_second_moment = max(max_second_moment, v), which takes v's place below, where it is not null (AMSGrad)
// theta -= lr / (1 - beta1^step) m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
struct AdamOptions {
  double lr, beta1, beta2, eps, weight_decay;
  Index step;
  double grad_scale;
  bool decoupled;
};
template <typename T>
void adam(Index n, const AdamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment,
          T* max_second_moment);

// m and v as above;  d = sqrt(v) / sqrt(1 - beta2^step) + eps
// theta -= lr ((1 - mu) / (1 - mu_product) g + mu_next / (1 - mu_product mu_next) m) / d
// where mu and mu_next are the momenta of this step and the next, mu_product the product of those up to this one.
struct NadamOptions {
  AdamOptions adam;
  double mu, mu_next, mu_product;
};
template <typename T>
void nadam(Index n, const NadamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment);

// s = sign of g previous_gradient;  step_sizes *= s > 0 ? eta_plus : s < 0 ? eta_minus : 1, kept in [step_min,
// step_max] g = 0 where s < 0;  theta -= sign(g) step_sizes;  previous_gradient = g
struct RpropOptions {
  double eta_minus, eta_plus, step_min, step_max, grad_scale;
};
template <typename T>
void rprop(Index n, const RpropOptions& options, const T* grad, T* theta, T* previous_gradient, T* step_sizes);

// theta -= lr weight_decay theta + lr sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g
struct LionOptions {
  double lr, beta1, beta2, weight_decay, grad_scale;
};
template <typename T> void lion(Index n, const LionOptions& options, const T* grad, T* theta, T* first_moment);

// average += (1 - decay) (theta - average)
template <typename T> void average_weights(Index n, double decay, const T* theta, T* average);

// The Euclidean norm, added in double: in float32 it neither overflows nor underflows, and in float64 only where it
// cannot be represented. NaN and infinities propagate.
template <typename T> double norm(Index n, const T* x);

// For a device that is not the host: `found` is the norm of these stretches [begin, end) of x together; true. Where a
// graph is made (graph.h) `found` is 0, and *factor on the device becomes most / norm where that is below 1, else 1; a
// norm that is not finite is a check of values that fails. False, and nothing is done, where `norm` must be asked: by
// the host, and where squares leave the range of double.
template <typename T>
bool norm_on_device(const T* x, const std::pair<Index, Index>* stretches, Index count, double most, double* factor,
                    double& found);

}  // namespace dlcore::DLCORE_DEVICE
