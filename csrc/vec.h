// Short vectors on the compiler's vector extensions: one source for SSE2, AVX2, AVX-512 and NEON.
// Only arithmetic operators, comparisons and ?: are used on them, so the width is a compile-time constant.
#pragma once

#ifdef DLCORE_LANES  // a device whose code handles one element at a time: the same names for "vectors" of one
#include DLCORE_LANES
#else

#include <cstring>
#include <utility>

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

#if defined(DLCORE_VECTOR_BYTES)
inline constexpr int vector_bytes = DLCORE_VECTOR_BYTES;
#elif defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif

namespace detail {
template <typename T> struct VectorOf {
  typedef T type __attribute__((vector_size(vector_bytes)));
};
template <int bytes> struct IntegerOf;
template <> struct IntegerOf<4> {
  using type = std::int32_t;
  using unsigned_type = std::uint32_t;
};
template <> struct IntegerOf<8> {
  using type = std::int64_t;
  using unsigned_type = std::uint64_t;
};
}  // namespace detail

template <typename T> using Vec = typename detail::VectorOf<T>::type;
template <typename T> using IntOf = typename detail::IntegerOf<sizeof(T)>::type;
template <typename T> using UIntOf = typename detail::IntegerOf<sizeof(T)>::unsigned_type;
template <typename T> inline constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

#define DLCORE_INLINE inline __attribute__((always_inline))

template <typename T> DLCORE_INLINE Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);  // an unaligned vector load
  return v;
}

template <typename T> DLCORE_INLINE void store(T* p, Vec<T> v) { std::memcpy(p, &v, sizeof v); }

template <typename T> DLCORE_INLINE Vec<T> splat(T x) { return x - Vec<T>{}; }

namespace detail {
// memcpy of count < lanes elements, in halves: a call would cost more than the work, and spill every vector register.
template <int step, typename T> DLCORE_INLINE void copy_below(T* to, const T* from, Index count) {
  if constexpr (step > 0) {
    if (count & step) {
      std::memcpy(to, from, step * sizeof(T));
      to += step;
      from += step;
    }
    copy_below<step / 2>(to, from, count);
  }
}
}  // namespace detail

// The first `count` < lanes elements from memory, the rest zero; never reads past p + count.
template <typename T> DLCORE_INLINE Vec<T> load_partial(const T* p, Index count) {
  T part[lanes<T>] = {};
  detail::copy_below<lanes<T> / 2>(part, p, count);
  return load(part);
}

template <typename T> DLCORE_INLINE void store_partial(T* p, Vec<T> v, Index count) {
  T part[lanes<T>];
  std::memcpy(part, &v, sizeof v);
  detail::copy_below<lanes<T> / 2>(p, part, count);
}

template <typename To, typename From> DLCORE_INLINE To bit_cast_vec(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// Lane-wise sum in a fixed pairwise order, so the result does not depend on how the compiler reduces.
template <typename T> DLCORE_INLINE T horizontal_sum(Vec<T> v) {
  T part[lanes<T>];
  std::memcpy(part, &v, sizeof v);
  for (int step = lanes<T> / 2; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) part[i] += part[i + step];
  return part[0];
}

// y[i] = f(x[i]...) over whole vectors; y may be one of the x. The last vector overlaps the one before (its inputs are
// read first, in case y is x), and fewer elements than a vector are padded: an element's bits do not depend on where in
// the array it stands. f must have no side effects. Its code stands here once: the last vector is a second turn of the
// loop, over copies.
template <typename T, typename F, typename... Inputs>
DLCORE_INLINE void map_vectors(Index n, T* y, const F& f, const Inputs*... x) {
  if (n <= 0) return;
  const auto run = [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
    const Index last = n - lanes<T>;
    const T* from[] = {x...};
    T inputs[sizeof...(x)][lanes<T>], result[lanes<T>];
    (store(inputs[k], last < 0 ? load_partial(from[k], n) : load(from[k] + last)), ...);
    T* to = y;
    Index end = last;
    bool at_last = false;
#pragma GCC unroll 1
    while (true) {
      for (Index i = 0; i < end; i += lanes<T>) store(to + i, f(load(from[k] + i)...));
      if (at_last) break;
      at_last = true;
      to = last < 0 ? result : y + last;
      end = 1;
      ((from[k] = inputs[k]), ...);
    }
    if (last < 0) detail::copy_below<lanes<T> / 2>(y, result, n);
  };
  run(std::index_sequence_for<Inputs...>{});
}

}  // namespace dlcore::DLCORE_DEVICE

#endif
