// Losses with their gradients, one loss a row (softmax cross-entropy, fused and finite for any finite logits) or an
// element; `dlosses` is the gradient with respect to these losses.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// logsumexp(logits) - logits[target]. The caller has checked the targets; one outside [0, columns) gives NaN, should
// another thread have changed it since.
template <typename T>
void softmax_cross_entropy(Index rows, Index columns, const T* logits, const std::int32_t* targets, T* losses);
// dloss (softmax(logits) - onehot(target))
template <typename T>
void softmax_cross_entropy_grad(Index rows, Index columns, const T* dlosses, const T* logits,
                                const std::int32_t* targets, T* dlogits);

// sum_j t_j (logsumexp(logits) - logits[j]) over the targets that are not 0; they need not sum to 1.
template <typename T>
void softmax_cross_entropy_soft(Index rows, Index columns, const T* logits, const T* targets, T* losses);
// dloss (softmax(logits) sum(t) - t)
template <typename T>
void softmax_cross_entropy_soft_grad(Index rows, Index columns, const T* dlosses, const T* logits, const T* targets,
                                     T* dlogits);

// Element-wise losses l(f, y) of predictions f and targets y; loss_pointwise.h has the formulas. `parameter`: squared:
// a factor; epsilon_insensitive, tolerance: the width; huber: delta; hinges: the margin; poisson: what is added to the
// rate; gaussian_kernel, correntropy: sigma; focal: gamma; others: none. The last two have no derivative.
enum class PointwiseLoss {
  squared,
  absolute,
  epsilon_insensitive,
  huber,
  log_cosh,
  hinge,
  squared_hinge,
  logistic,
  log_loss,
  kl,
  kl_log,
  poisson,
  poisson_log,
  gaussian_kernel,
  correntropy,
  focal,
  tolerance,
  zero_one
};
constexpr bool has_derivative(PointwiseLoss kind) {
  return kind != PointwiseLoss::tolerance && kind != PointwiseLoss::zero_one;
}

template <typename T>
void pointwise_loss(PointwiseLoss kind, double parameter, Index n, const T* f, const T* y, T* losses);
// dloss times the first or the second derivative by f; the kind has one.
template <typename T>
void pointwise_loss_grad(PointwiseLoss kind, double parameter, Index n, const T* dlosses, const T* f, const T* y,
                         T* df);
template <typename T>
void pointwise_loss_hessian(PointwiseLoss kind, double parameter, Index n, const T* dlosses, const T* f, const T* y,
                            T* ddf);

}  // namespace dlcore::DLCORE_DEVICE
