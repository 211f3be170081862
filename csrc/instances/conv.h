// The instances of conv.h that every device module has: conv.cpp and conv.cu end with them.
#pragma once

#define DLCORE_CONV_OF(T)                                                             \
  template void conv2d(const ConvShape&, const T*, const T*, T*, const Epilogue<T>&); \
  template void conv2d_input_grad(const ConvShape&, const T*, const T*, T*);          \
  template void conv2d_weight_grad(const ConvShape&, const T*, const T*, T*);

#define DLCORE_CONV_INSTANCES \
  DLCORE_CONV_OF(float)       \
  DLCORE_CONV_OF(double)
