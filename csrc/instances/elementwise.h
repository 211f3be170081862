// The instances of elementwise.h that every device module has: elementwise.cpp and elementwise.cu end with them.
#pragma once

#define DLCORE_ELEMENTWISE_OF(T)                                          \
  template void unary(Unary, Index, const T*, T*);                        \
  template void binary(Binary, const Broadcast&, const T*, const T*, T*); \
  template void affine(Index, T, T, const T*, T*);                        \
  template void power_scalar(Index, T, const T*, T*);                     \
  template void clamp(Index, T, T, const T*, T*);                         \
  template void where(Index, const T*, const T*, const T*, T*);           \
  template void axpy(Index, T, const T*, T*);                             \
  template void fill(Index, T, T*);                                       \
  template void cast(Index, const T*, std::int32_t*);                     \
  template void cast(Index, const std::int32_t*, T*);                     \
  template Index first_outside_int32(Index, const T*);

#define DLCORE_ELEMENTWISE_INSTANCES                      \
  DLCORE_ELEMENTWISE_OF(float)                            \
  DLCORE_ELEMENTWISE_OF(double)                           \
  template void fill(Index, std::int32_t, std::int32_t*); \
  template void cast(Index, const float*, double*);       \
  template void cast(Index, const double*, float*);
