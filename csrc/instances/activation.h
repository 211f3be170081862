// The instances of activation.h that every device module has: activation.cpp and activation.cu end with them.
#pragma once

#define DLCORE_ACTIVATION_OF(T)                                                \
  template void activation(Activation, T, Index, const T*, T*);                \
  template void activation_grad(Activation, T, Index, const T*, const T*, T*); \
  template void softmax(Index, Index, const T*, T*);                           \
  template void softmax_grad(Index, Index, const T*, const T*, T*);            \
  template void log_softmax(Index, Index, const T*, T*);                       \
  template void log_softmax_grad(Index, Index, const T*, const T*, T*);

#define DLCORE_ACTIVATION_INSTANCES \
  DLCORE_ACTIVATION_OF(float)       \
  DLCORE_ACTIVATION_OF(double)
