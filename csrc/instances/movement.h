// The instances of movement.h that every device module has: movement.cpp and movement.cu end with them.
#pragma once

#define DLCORE_MOVEMENT_OF_WORD(Word)                                                 \
  template void strided_copy(const StridedLayout&, const Word*, Word*);               \
  template void copy_rows(Index, Index, const Word*, Index, Word*, Index);            \
  template void embed(Index, Index, Index, Index, Index, const Word*, Word*);         \
  template void gather(Index, Index, Index, const Word*, const std::int32_t*, Word*); \
  template void assign_rows(Index, Index, Index, const std::int32_t*, const Word*, Word*);

#define DLCORE_MOVEMENT_OF(T)                                                                              \
  template void scatter_add(Index, Index, Index, const std::int32_t*, const T*, T*);                       \
  template void gather_csr(Index, Index, Index, Index, const T*, const std::int32_t*, const std::int32_t*, \
                           const std::int32_t*, T*);                                                       \
  template void warp2d(const WarpShape&, const T*, const T*, const T*, T, T*);                             \
  template void warp2d_grad(const WarpShape&, const T*, const T*, const T*, T*);

#define DLCORE_MOVEMENT_INSTANCES                                    \
  DLCORE_MOVEMENT_OF_WORD(std::uint32_t)                             \
  DLCORE_MOVEMENT_OF_WORD(std::uint64_t)                             \
  DLCORE_MOVEMENT_OF(float)                                          \
  DLCORE_MOVEMENT_OF(double)                                         \
  template void one_hot(Index, Index, const std::int32_t*, float*);  \
  template void one_hot(Index, Index, const std::int32_t*, double*); \
  template void one_hot(Index, Index, const std::int32_t*, std::int32_t*);
