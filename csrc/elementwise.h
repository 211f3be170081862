// y = f(x), y = f(a, b) with broadcasting, and the in-place update of a sum. An output may be one of its inputs,
// except in `binary` where that input is broadcast.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

enum class Unary { negative, abs, sign, square, sqrt, reciprocal, exp, expm1, log, log1p, sin, cos };
enum class Binary { add, subtract, multiply, divide, power, maximum, minimum, greater, greater_equal, equal };

// An output of sizes[0..ndim) in row-major order and each input's element strides (0 where it is broadcast),
// with neighbouring dimensions merged wherever both inputs allow it. ndim >= 1. The inputs are contiguous, so the
// last strides are 0 or 1, not both 0.
struct Broadcast {
  int ndim;
  Index sizes[max_ndim];
  Index strides_a[max_ndim];
  Index strides_b[max_ndim];
};

template <typename T> void unary(Unary op, Index n, const T* x, T* y);
// maximum and minimum are NaN where either input is; comparisons give 0 or 1.
template <typename T> void binary(Binary op, const Broadcast& layout, const T* a, const T* b, T* y);
template <typename T> void affine(Index n, T scale, T shift, const T* x, T* y);  // y = scale x + shift
template <typename T> void power_scalar(Index n, T exponent, const T* x, T* y);
template <typename T> void clamp(Index n, T low, T high, const T* x, T* y);                   // NaN stays
template <typename T> void where(Index n, const T* condition, const T* a, const T* b, T* y);  // condition != 0 ? a : b
template <typename T> void axpy(Index n, T alpha, const T* x, T* y);                          // y += alpha x
template <typename T> void fill(Index n, T value, T* y);                                      // also int32
// Between float, double and int32. Floats are truncated towards 0; outside int32 the result is unspecified.
template <typename From, typename To> void cast(Index n, const From* x, To* y);
// The first element that does not truncate to an int32 (out of range, NaN), or -1.
template <typename T> Index first_outside_int32(Index n, const T* x);

}  // namespace dlcore::DLCORE_DEVICE
