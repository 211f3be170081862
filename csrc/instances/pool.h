// The instances of pool.h that every device module has: pool.cpp and pool.cu end with them.
#pragma once

#define DLCORE_POOL_OF(T)                                                                  \
  template void max_pool2d(const PoolShape&, const T*, T*, std::int32_t*);                 \
  template void max_pool2d_grad(const PoolPlanes&, const T*, const std::int32_t*, T*);     \
  template void max_pool2d_gather(Index, Index, Index, const T*, const std::int32_t*, T*); \
  template void avg_pool2d(const PoolShape&, const T*, T*);                                \
  template void avg_pool2d_grad(const PoolShape&, const T*, T*);

#define DLCORE_POOL_INSTANCES \
  DLCORE_POOL_OF(float)       \
  DLCORE_POOL_OF(double)
