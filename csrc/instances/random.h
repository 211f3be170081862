// The instances of random.h that every device module has: random.cpp and random.cu end with them.
#pragma once

#define DLCORE_RANDOM_OF(T)                                                    \
  template void uniform(std::uint64_t, std::uint64_t, Index, T, T, T*);        \
  template void normal(std::uint64_t, std::uint64_t, Index, T, T, T*);         \
  template void bernoulli(std::uint64_t, std::uint64_t, Index, const T*, T*);  \
  template void dropout(std::uint64_t, std::uint64_t, Index, T, const T*, T*); \
  template Index first_outside_unit_interval(Index, const T*);

#define DLCORE_RANDOM_INSTANCES \
  DLCORE_RANDOM_OF(float)       \
  DLCORE_RANDOM_OF(double)
