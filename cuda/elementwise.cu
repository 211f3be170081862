#include "../csrc/elementwise.h"

#include "../csrc/instances/elementwise.h"
#include "../csrc/memory.h"
#include "map.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// --- One input ---

template <Unary op, typename T> struct UnaryFunction {
  __device__ T operator()(T v) const {
    switch (op) {
      case Unary::negative: return -v;
      case Unary::abs: return std::fabs(v);
      case Unary::sign: return v > T(0) ? T(1) : (v < T(0) ? T(-1) : v == T(0) ? T(0) : v);
      case Unary::square: return v * v;
      case Unary::sqrt: return std::sqrt(v);
      case Unary::reciprocal: return T(1) / v;
      case Unary::exp: return std::exp(v);
      case Unary::expm1: return std::expm1(v);
      case Unary::log: return std::log(v);
      case Unary::log1p: return std::log1p(v);
      case Unary::sin: return std::sin(v);
      case Unary::cos: return std::cos(v);
    }
    return v;
  }
};

// --- Two inputs ---

template <Binary op, typename T> struct BinaryFunction {
  __device__ T operator()(T u, T v) const {
    switch (op) {
      case Binary::add: return u + v;
      case Binary::subtract: return u - v;
      case Binary::multiply: return u * v;
      case Binary::divide: return u / v;
      case Binary::power: return std::pow(u, v);
      case Binary::maximum: return (u > v) | (u != u) ? u : v;
      case Binary::minimum: return (u < v) | (u != u) ? u : v;
      case Binary::greater: return u > v ? T(1) : T(0);
      case Binary::greater_equal: return u >= v ? T(1) : T(0);
      case Binary::equal: return u == v ? T(1) : T(0);
    }
    return u;
  }
};

template <typename T, typename F>
__global__ void broadcast_kernel(Broadcast layout, Index n, const T* a, const T* b, T* y, F f) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    Index rest = i, at_a = 0, at_b = 0;
    for (int axis = layout.ndim - 1; axis >= 0; --axis) {
      const Index quotient = rest / layout.sizes[axis], index = rest - quotient * layout.sizes[axis];
      at_a += index * layout.strides_a[axis];
      at_b += index * layout.strides_b[axis];
      rest = quotient;
    }
    y[i] = f(a[at_a], b[at_b]);
  }
}

template <Binary op, typename T> void broadcast(const Broadcast& layout, const T* a, const T* b, T* y) {
  const BinaryFunction<op, T> f;
  Index n = 1;
  for (int axis = 0; axis < layout.ndim; ++axis) n *= layout.sizes[axis];
  if (layout.ndim == 1 && layout.strides_a[0] == 1 && layout.strides_b[0] == 1) return map("binary", n, y, f, a, b);
  launch("binary", broadcast_kernel<T, BinaryFunction<op, T>>, grid_over(n), layout, n, a, b, y, f);
}

template <typename From, typename To> struct Convert {
  __device__ To operator()(From v) const { return static_cast<To>(v); }
};

template <typename From, typename To> __global__ void cast_kernel(Index n, const From* x, To* y) {
  for (Index i = global_thread(); i < n; i += global_threads()) y[i] = static_cast<To>(x[i]);
}

template <typename T> __global__ void fill_kernel(Index n, T value, T* y) {
  for (Index i = global_thread(); i < n; i += global_threads()) y[i] = value;
}

template <typename T> struct OutsideInt32 {
  const T* x;
  // Both bounds are exact in either type; in float no number lies between -2^31 - 1 and -2^31.
  __device__ bool operator()(Index i) const {
    const T low = sizeof(T) == 8 ? T(-2147483649.0) : T(-2147483904.0F), high = T(2147483648.0F);
    return !(x[i] > low && x[i] < high);
  }
};

}  // namespace

template <typename T> void unary(Unary op, Index n, const T* x, T* y) {
  switch (op) {
#define DLCORE_CASE(name) \
  case Unary::name: return map(#name, n, y, UnaryFunction<Unary::name, T>{}, x);
    DLCORE_CASE(negative)
    DLCORE_CASE(abs)
    DLCORE_CASE(sign)
    DLCORE_CASE(square)
    DLCORE_CASE(sqrt)
    DLCORE_CASE(reciprocal)
    DLCORE_CASE(exp)
    DLCORE_CASE(expm1)
    DLCORE_CASE(log)
    DLCORE_CASE(log1p)
    DLCORE_CASE(sin)
    DLCORE_CASE(cos)
#undef DLCORE_CASE
  }
}

template <typename T> void binary(Binary op, const Broadcast& layout, const T* a, const T* b, T* y) {
  switch (op) {
#define DLCORE_CASE(name) \
  case Binary::name: return broadcast<Binary::name>(layout, a, b, y);
    DLCORE_CASE(add)
    DLCORE_CASE(subtract)
    DLCORE_CASE(multiply)
    DLCORE_CASE(divide)
    DLCORE_CASE(power)
    DLCORE_CASE(maximum)
    DLCORE_CASE(minimum)
    DLCORE_CASE(greater)
    DLCORE_CASE(greater_equal)
    DLCORE_CASE(equal)
#undef DLCORE_CASE
  }
}

namespace {

template <typename T> struct Affine {
  T scale, shift;
  __device__ T operator()(T v) const { return scale * v + shift; }
};
template <typename T> struct Same {
  __device__ T operator()(T v) const { return v; }
};
template <typename T> struct Cube {
  __device__ T operator()(T v) const { return v * v * v; }
};
template <typename T> struct RootPower {  // pow differs from sqrt at -0 and at -infinity
  __device__ T operator()(T v) const { return std::sqrt(v == -infinity<T>() ? -v : v) + T(0); }
};
template <typename T> struct Power {
  T exponent;
  __device__ T operator()(T v) const { return std::pow(v, exponent); }
};
template <typename T> struct Clamp {
  T low, high;
  __device__ T operator()(T v) const {
    const T raised = v < low ? low : v;
    return raised > high ? high : raised;
  }
};
template <typename T> struct Where {
  __device__ T operator()(T c, T u, T v) const { return c != T(0) ? u : v; }
};
template <typename T> struct Axpy {
  T alpha;
  __device__ T operator()(T u, T v) const { return alpha * u + v; }
};

}  // namespace

template <typename T> void affine(Index n, T scale, T shift, const T* x, T* y) {
  map("affine", n, y, Affine<T>{scale, shift}, x);
}

template <typename T> void power_scalar(Index n, T exponent, const T* x, T* y) {
  if (exponent == 0) return fill(n, T{1}, y);
  if (exponent == 1) return map("power_scalar", n, y, Same<T>{}, x);
  if (exponent == 2) return unary(Unary::square, n, x, y);
  if (exponent == 3) return map("power_scalar", n, y, Cube<T>{}, x);
  if (exponent == -1) return unary(Unary::reciprocal, n, x, y);
  if (exponent == T{0.5}) return map("power_scalar", n, y, RootPower<T>{}, x);
  map("power_scalar", n, y, Power<T>{exponent}, x);
}

template <typename T> void clamp(Index n, T low, T high, const T* x, T* y) {
  map("clamp", n, y, Clamp<T>{low, high}, x);
}

template <typename T> void where(Index n, const T* condition, const T* a, const T* b, T* y) {
  map("where", n, y, Where<T>{}, condition, a, b);
}

template <typename T> void axpy(Index n, T alpha, const T* x, T* y) {
  const T* old = y;
  map("axpy", n, y, Axpy<T>{alpha}, x, old);
}

template <typename T> void fill(Index n, T value, T* y) {
  launch("fill", fill_kernel<T>, grid_over(n, 4), n, value, y);
}

template <typename From, typename To> void cast(Index n, const From* x, To* y) {
  launch("cast", cast_kernel<From, To>, grid_over(n, 4), n, x, y);
}

template <typename T> Index first_outside_int32(Index n, const T* x) {
  const Index first = first_where("first_outside_int32", n, OutsideInt32<T>{x});
  return first == n ? -1 : first;
}

DLCORE_ELEMENTWISE_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
