// The instances of loss.h that every device module has: loss.cpp and loss.cu end with them.
#pragma once

#define DLCORE_LOSS_OF(T)                                                                              \
  template void softmax_cross_entropy(Index, Index, const T*, const std::int32_t*, T*);                \
  template void softmax_cross_entropy_grad(Index, Index, const T*, const T*, const std::int32_t*, T*); \
  template void softmax_cross_entropy_soft(Index, Index, const T*, const T*, T*);                      \
  template void softmax_cross_entropy_soft_grad(Index, Index, const T*, const T*, const T*, T*);       \
  template void pointwise_loss(PointwiseLoss, double, Index, const T*, const T*, T*);                  \
  template void pointwise_loss_grad(PointwiseLoss, double, Index, const T*, const T*, const T*, T*);   \
  template void pointwise_loss_hessian(PointwiseLoss, double, Index, const T*, const T*, const T*, T*);

#define DLCORE_LOSS_INSTANCES \
  DLCORE_LOSS_OF(float)       \
  DLCORE_LOSS_OF(double)
