// Losses fused with the function that feeds them, from logits, finite for any finite logits. One loss a row
// (softmax) or an element; `dlosses` is the gradient with respect to these losses.
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

// max(x, 0) - x t + log1p(e^-|x|) and dloss (sigmoid(x) - t)
template <typename T> void sigmoid_cross_entropy(Index n, const T* logits, const T* targets, T* losses);
template <typename T>
void sigmoid_cross_entropy_grad(Index n, const T* dlosses, const T* logits, const T* targets, T* dlogits);

// (a - b)^2 and 2 dloss (a - b)
template <typename T> void squared_error(Index n, const T* a, const T* b, T* losses);
template <typename T> void squared_error_grad(Index n, const T* dlosses, const T* a, const T* b, T* da);

}  // namespace dlcore::DLCORE_DEVICE
