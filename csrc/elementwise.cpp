#include "elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "instances/elementwise.h"
#include "parallel.h"
#include "vecmath.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Chunks of about 10 microseconds: some 1 ns an element for a vectorised function, 5 to 10 ns for one of libm.
constexpr Index function_grain = elementwise_grain / 4;
constexpr Index libm_grain = elementwise_grain / 16;

template <typename T, typename F, typename... Inputs>
void map_parallel(Index n, Index grain, T* y, const F& f, const Inputs*... x) {
  parallel_for(n, grain, [&](Index begin, Index end) { map_vectors(end - begin, y + begin, f, (x + begin)...); });
}

// For functions without a vector form; the compiler vectorises those that are one instruction.
template <typename From, typename To, typename F>
void map_scalars(Index n, Index grain, const From* x, To* y, const F& f) {
  parallel_for(n, grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

template <typename T> void square_root(Index n, const T* x, T* y) {
  map_scalars(n, function_grain, x, y, [](T v) { return std::sqrt(v); });
}

// sin and cos: vectors where |x| <= trig_limit, libm for the other elements (larger, infinite, NaN).
template <typename T, typename F, typename Libm>
void trigonometric(Index n, const T* x, T* y, const F& f, const Libm& libm) {
  constexpr Index block = 256;
  constexpr T limit = static_cast<T>(trig_limit);
  parallel_for(n, function_grain, [&](Index begin, Index end) {
    alignas(64) T result[block];  // apart from y, which may be x
    for (Index start = begin; start < end; start += block) {
      const Index count = std::min(block, end - start);
      const T* from = x + start;
      map_vectors(count, result, f, from);
      int far = 0;
      for (Index i = 0; i < count; ++i) far |= !(std::abs(from[i]) <= limit);
      if (far)
        for (Index i = 0; i < count; ++i)
          if (!(std::abs(from[i]) <= limit)) result[i] = libm(from[i]);
      std::memcpy(y + start, result, static_cast<std::size_t>(count) * sizeof(T));
    }
  });
}

// --- Two inputs ---

// y[i] = f(a[i], b[i]) over one run of an output row, either input constant where its stride is 0: what differs from
// operation to operation; the loops over an array call it for some hundred elements at a time.
template <typename T> using Run = void (*)(Index n, const T* a, Index stride_a, const T* b, Index stride_b, T* y);

template <typename T, typename F>
void run_vectors(Index n, const T* a, Index stride_a, const T* b, Index stride_b, T* y) {
  constexpr F f{};
  if (stride_a && stride_b) return map_vectors(n, y, f, a, b);
  const Vec<T> constant = splat<T>(stride_a ? *b : *a);
  if (stride_a) return map_vectors(n, y, [=](Vec<T> v) { return f(v, constant); }, a);
  map_vectors(n, y, [=](Vec<T> v) { return f(constant, v); }, b);
}

template <typename T> void run_power(Index n, const T* a, Index stride_a, const T* b, Index stride_b, T* y) {
  for (Index i = 0; i < n; ++i) y[i] = std::pow(a[i * stride_a], b[i * stride_b]);
}

// A position in the output, its last dimension apart, and where the inputs stand there.
struct Cursor {
  const Broadcast& layout;
  Index index[max_ndim] = {};
  Index a = 0, b = 0;

  Cursor(const Broadcast& broadcast, Index row) : layout(broadcast) {
    for (int axis = layout.ndim - 2; axis >= 0; --axis) {
      index[axis] = row % layout.sizes[axis];
      row /= layout.sizes[axis];
      a += index[axis] * layout.strides_a[axis];
      b += index[axis] * layout.strides_b[axis];
    }
  }
  void next_row() {
    for (int axis = layout.ndim - 2; axis >= 0; --axis) {
      a += layout.strides_a[axis];
      b += layout.strides_b[axis];
      if (++index[axis] < layout.sizes[axis]) return;
      a -= layout.sizes[axis] * layout.strides_a[axis];
      b -= layout.sizes[axis] * layout.strides_b[axis];
      index[axis] = 0;
    }
  }
};

constexpr Index narrow_row = 64;   // shorter rows are gathered into blocks
constexpr Index block_size = 512;  // elements of such a block: three of them stay in the first-level cache

// Puts `columns` elements from x (one of them, where the stride is 0) into a block with room for a vector behind them.
template <typename T> DLCORE_INLINE void gather_row(Index columns, const T* x, Index stride, T* row) {
  if (stride) {
    std::memcpy(row, x, static_cast<std::size_t>(columns) * sizeof(T));
    return;
  }
  const Vec<T> value = splat<T>(*x);
  for (Index j = 0; j < columns; j += lanes<T>) store(row + j, value);
}

template <typename T>
void run_narrow_rows(const Broadcast& layout, Index grain, const T* a, const T* b, T* y, Run<T> run) {
  const int last = layout.ndim - 1;
  const Index columns = layout.sizes[last], stride_a = layout.strides_a[last], stride_b = layout.strides_b[last];
  Index rows = 1;
  for (int axis = 0; axis < last; ++axis) rows *= layout.sizes[axis];
  const Index block_rows = block_size / columns;
  // With two dimensions a dense input needs no gathering, and a repeated row is gathered once.
  const bool dense_a = last == 1 && stride_a == 1 && layout.strides_a[0] == columns;
  const bool dense_b = last == 1 && stride_b == 1 && layout.strides_b[0] == columns;
  const bool same_a = last == 1 && layout.strides_a[0] == 0, same_b = last == 1 && layout.strides_b[0] == 0;
  parallel_for(rows, std::max<Index>(1, grain / columns), [&](Index begin, Index end) {
    alignas(64) T block_a[block_size + lanes<T>];
    alignas(64) T block_b[block_size + lanes<T>];
    for (Index row = begin; row < end; row += block_rows) {
      const Index count = std::min(block_rows, end - row);
      const bool gather_a = !dense_a && !(same_a && row > begin), gather_b = !dense_b && !(same_b && row > begin);
      if (gather_a || gather_b) {
        Cursor cursor(layout, row);
        for (Index r = 0; r < count; ++r, cursor.next_row()) {
          if (gather_a) gather_row(columns, a + cursor.a, stride_a, block_a + r * columns);
          if (gather_b) gather_row(columns, b + cursor.b, stride_b, block_b + r * columns);
        }
      }
      const T* from_a = dense_a ? a + row * columns : block_a;
      const T* from_b = dense_b ? b + row * columns : block_b;
      run(count * columns, from_a, 1, from_b, 1, y + row * columns);
    }
  });
}

template <typename T>
void run_broadcast(const Broadcast& layout, Index grain, const T* a, const T* b, T* y, Run<T> run) {
  const int last = layout.ndim - 1;
  const Index columns = layout.sizes[last], stride_a = layout.strides_a[last], stride_b = layout.strides_b[last];
  Index total = 1;
  for (int axis = 0; axis <= last; ++axis) total *= layout.sizes[axis];
  if (total == 0) return;
  if (last > 0 && columns < narrow_row) return run_narrow_rows(layout, grain, a, b, y, run);
  parallel_for(total, grain, [&](Index begin, Index end) {
    Cursor cursor(layout, begin / columns);
    for (Index column = begin % columns; begin < end; column = 0, cursor.next_row()) {
      const Index n = std::min(columns - column, end - begin);
      run(n, a + cursor.a + column * stride_a, stride_a, b + cursor.b + column * stride_b, stride_b, y + begin);
      begin += n;
    }
  });
}

// f captures nothing.
template <typename T, typename F> void broadcast(const Broadcast& layout, const T* a, const T* b, T* y, const F&) {
  run_broadcast<T>(layout, elementwise_grain, a, b, y, run_vectors<T, F>);
}

}  // namespace

template <typename T> void unary(Unary op, Index n, const T* x, T* y) {
  using V = Vec<T>;
  const V zero{}, one = splat<T>(1);
  switch (op) {
    case Unary::negative: return map_parallel(n, elementwise_grain, y, [](V v) { return -v; }, x);
    case Unary::abs: return map_parallel(n, elementwise_grain, y, [](V v) { return vabs<T>(v); }, x);
    case Unary::sign: {
      const auto sign = [&](V v) { return v > zero ? one : (v < zero ? -one : (v == zero ? zero : v)); };
      return map_parallel(n, elementwise_grain, y, sign, x);
    }
    case Unary::square: return map_parallel(n, elementwise_grain, y, [](V v) { return v * v; }, x);
    case Unary::sqrt: return square_root(n, x, y);
    case Unary::reciprocal: return map_parallel(n, elementwise_grain, y, [](V v) { return 1 / v; }, x);
    case Unary::exp: return map_parallel(n, function_grain, y, [](V v) { return vexp<T>(v); }, x);
    case Unary::expm1: return map_parallel(n, function_grain, y, [](V v) { return vexpm1<T>(v); }, x);
    case Unary::log: return map_parallel(n, function_grain, y, [](V v) { return vlog<T>(v); }, x);
    case Unary::log1p: return map_parallel(n, function_grain, y, [](V v) { return vlog1p<T>(v); }, x);
    case Unary::sin: return trigonometric(n, x, y, [](V v) { return vsin<T>(v); }, [](T v) { return std::sin(v); });
    case Unary::cos: return trigonometric(n, x, y, [](V v) { return vcos<T>(v); }, [](T v) { return std::cos(v); });
  }
}

template <typename T> void binary(Binary op, const Broadcast& layout, const T* a, const T* b, T* y) {
  using V = Vec<T>;
  switch (op) {
    case Binary::add: return broadcast(layout, a, b, y, [](V u, V v) { return u + v; });
    case Binary::subtract: return broadcast(layout, a, b, y, [](V u, V v) { return u - v; });
    case Binary::multiply: return broadcast(layout, a, b, y, [](V u, V v) { return u * v; });
    case Binary::divide: return broadcast(layout, a, b, y, [](V u, V v) { return u / v; });
    case Binary::power: return run_broadcast<T>(layout, libm_grain, a, b, y, run_power<T>);
    case Binary::maximum: return broadcast(layout, a, b, y, [](V u, V v) { return ((u > v) | (u != u)) ? u : v; });
    case Binary::minimum: return broadcast(layout, a, b, y, [](V u, V v) { return ((u < v) | (u != u)) ? u : v; });
    case Binary::greater: return broadcast(layout, a, b, y, [](V u, V v) { return u > v ? splat<T>(1) : V{}; });
    case Binary::greater_equal: return broadcast(layout, a, b, y, [](V u, V v) { return u >= v ? splat<T>(1) : V{}; });
    case Binary::equal: return broadcast(layout, a, b, y, [](V u, V v) { return u == v ? splat<T>(1) : V{}; });
  }
}

template <typename T> void affine(Index n, T scale, T shift, const T* x, T* y) {
  const Vec<T> slope = splat<T>(scale), offset = splat<T>(shift);
  map_parallel(n, elementwise_grain, y, [=](Vec<T> v) { return slope * v + offset; }, x);
}

template <typename T> void power_scalar(Index n, T exponent, const T* x, T* y) {
  using V = Vec<T>;
  if (exponent == 0) return fill(n, T{1}, y);
  if (exponent == 1) return map_parallel(n, elementwise_grain, y, [](V v) { return v; }, x);
  if (exponent == 2) return unary(Unary::square, n, x, y);
  if (exponent == 3) return map_parallel(n, elementwise_grain, y, [](V v) { return v * v * v; }, x);
  if (exponent == -1) return unary(Unary::reciprocal, n, x, y);
  if (exponent == T{0.5})  // pow differs from sqrt at -0 and at -infinity
    return map_scalars(n, function_grain, x, y,
                       [](T v) { return std::sqrt(v == -detail::infinity<T> ? -v : v) + T{0}; });
  map_scalars(n, libm_grain, x, y, [exponent](T v) { return std::pow(v, exponent); });
}

template <typename T> void clamp(Index n, T low, T high, const T* x, T* y) {
  const auto f = [=](Vec<T> v) { return detail::at_most<T>(detail::at_least<T>(v, low), high); };
  map_parallel(n, elementwise_grain, y, f, x);
}

template <typename T> void where(Index n, const T* condition, const T* a, const T* b, T* y) {
  using V = Vec<T>;
  map_parallel(n, elementwise_grain, y, [](V c, V u, V v) { return c != V{} ? u : v; }, condition, a, b);
}

template <typename T> void axpy(Index n, T alpha, const T* x, T* y) {
  const Vec<T> factor = splat<T>(alpha);
  const T* old = y;
  map_parallel(n, elementwise_grain, y, [=](Vec<T> u, Vec<T> v) { return factor * u + v; }, x, old);
}

template <typename T> void fill(Index n, T value, T* y) {
  parallel_for(n, elementwise_grain, [=](Index begin, Index end) { std::fill(y + begin, y + end, value); });
}

template <typename From, typename To> void cast(Index n, const From* x, To* y) {
  map_scalars(n, elementwise_grain, x, y, [](From v) { return static_cast<To>(v); });
}

template <typename T> Index first_outside_int32(Index n, const T* x) {
  // Both bounds are exact in either type; in float no number lies between -2^31 - 1 and -2^31.
  constexpr T low = sizeof(T) == 8 ? T(-2147483649.0) : T(-2147483904.0F), high = T(2147483648.0F);
  constexpr Index block = 1024;
  for (Index start = 0; start < n; start += block) {
    const Index end = std::min(start + block, n);
    int bad = 0;
    for (Index i = start; i < end; ++i) bad |= !(x[i] > low) | !(x[i] < high);
    if (!bad) continue;
    for (Index i = start; i < end; ++i)
      if (!(x[i] > low && x[i] < high)) return i;
  }
  return -1;
}

DLCORE_ELEMENTWISE_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
