// The instances of matmul.h that every device module has: matmul.cpp and matmul.cu end with them.
#pragma once

#define DLCORE_MATMUL_OF(T) \
  template void matmul(bool, bool, Index, Index, Index, T, const T*, const T*, T, T*, const Epilogue<T>&);

#define DLCORE_MATMUL_INSTANCES \
  DLCORE_MATMUL_OF(float)       \
  DLCORE_MATMUL_OF(double)
