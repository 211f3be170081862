// The instances of reduce.h that every device module has: reduce.cpp and reduce.cu end with them.
#pragma once

#define DLCORE_REDUCE_OF(T)                                                      \
  template void sum(Index, Index, Index, const T*, T*);                          \
  template void extreme(bool, Index, Index, Index, const T*, T*, std::int32_t*); \
  template void logsumexp(Index, Index, const T*, T*);                           \
  template T dot(Index, const T*, const T*);                                     \
  template bool all_finite(Index, const T*);                                     \
  template bool within(Index, const T*, double, double);

#define DLCORE_REDUCE_INSTANCES \
  DLCORE_REDUCE_OF(float)       \
  DLCORE_REDUCE_OF(double)      \
  template bool within(Index, const std::int32_t*, double, double);
