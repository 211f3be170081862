// What csrc/vec.h and csrc/vecmath.h offer to formulas, for one element: so the formulas stand once for all devices.
// The functions are CUDA's (CUDA C++ programming guide, "Mathematical functions": at most 2 ulp, pow 4 in single
// precision), and libm's in the emulation.
#pragma once

#include <cmath>
#include <limits>

#include "launch.cuh"

#define DLCORE_INLINE __host__ __device__ inline

namespace dlcore::DLCORE_DEVICE {

template <typename T> using Vec = T;
template <typename T> DLCORE_INLINE T splat(T x) { return x; }

template <typename T> DLCORE_INLINE T infinity() { return static_cast<T>(HUGE_VAL); }
template <typename T> DLCORE_INLINE T quiet_nan() { return static_cast<T>(NAN); }

namespace detail {

template <typename T> struct Format {
  static constexpr T exp_low = sizeof(T) == 8 ? T(-746) : T(-104);  // below: less than half the least denormal
};
template <typename T> DLCORE_INLINE T at_least(T x, std::type_identity_t<T> low) { return x < low ? low : x; }
template <typename T> DLCORE_INLINE T at_most(T x, std::type_identity_t<T> high) { return x > high ? high : x; }
template <typename T> DLCORE_INLINE T exp_in_range(T x) { return std::exp(x); }

}  // namespace detail

template <typename T> DLCORE_INLINE T vabs(T x) { return std::fabs(x); }
template <typename T> DLCORE_INLINE T vexp(T x) { return std::exp(x); }
template <typename T> DLCORE_INLINE T vexpm1(T x) { return std::expm1(x); }
template <typename T> DLCORE_INLINE T vlog(T x) { return std::log(x); }
template <typename T> DLCORE_INLINE T vlog1p(T x) { return std::log1p(x); }
template <typename T> DLCORE_INLINE T vtanh(T x) { return std::tanh(x); }
// With e = e^-|x| and q = e / (1 + e) it is 1 - q, or e - e q, which rounds less than q does.
template <typename T> DLCORE_INLINE T vsigmoid(T x) {
  const T e = std::exp(-std::fabs(x)), factor = x < T(0) ? e : T(1);
  return factor - factor * (e / (1 + e));
}
template <typename T> DLCORE_INLINE T vsoftplus(T x) {
  return (x > T(0) ? x : T(0)) + std::log1p(std::exp(-std::fabs(x)));
}

template <typename T, typename F>
DLCORE_INLINE T in_double(const F& f, std::type_identity_t<T> a, std::type_identity_t<T> b) {
  return static_cast<T>(f(static_cast<double>(a), static_cast<double>(b)));
}

}  // namespace dlcore::DLCORE_DEVICE
