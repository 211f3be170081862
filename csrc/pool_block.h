// Neighbouring outputs of one row of a pooled plane, as vectors of any width.
#pragma once

#include <cstring>
#include <utility>

#include "pool.h"
#include "vec.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// `count` neighbouring outputs of one row. Narrower vectors serve rows shorter than a full one.
template <typename T, int bytes> struct Block {
  static constexpr int count = bytes / static_cast<int>(sizeof(T));
  using Element = T;
  typedef T Values __attribute__((vector_size(bytes)));
  typedef IntOf<T> Places __attribute__((vector_size(bytes)));
  typedef std::int32_t Indices __attribute__((vector_size(count * 4)));
};

// Elements 0, step, 2 step, ... of p. A step known at compile time becomes loads and shuffles.
template <typename V, typename T> DLCORE_INLINE V load_steps(const T* p, Index step) {
  constexpr int count = sizeof(V) / sizeof(T);
  T values[count];
  for (int k = 0; k < count; ++k) values[k] = p[k * step];
  V v;
  std::memcpy(&v, values, sizeof v);
  return v;
}

template <typename B, int first, int... k>
DLCORE_INLINE typename B::Values interleave(typename B::Values a, typename B::Values b,
                                            std::integer_sequence<int, k...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, (first + k / 2 + k % 2 * B::count)...);
#else
  return __builtin_shuffle(a, b, typename B::Places{(first + k / 2 + k % 2 * B::count)...});
#endif
}

// to[2 k] = a[k], to[2 k + 1] = b[k]
template <typename B>
DLCORE_INLINE void store_pairs(typename B::Element* to, typename B::Values a, typename B::Values b) {
  constexpr std::make_integer_sequence<int, B::count> all;
  const auto low = interleave<B, 0>(a, b, all), high = interleave<B, B::count / 2>(a, b, all);
  std::memcpy(to, &low, sizeof low);
  std::memcpy(to + B::count, &high, sizeof high);
}

template <typename B, int first, int... k>
DLCORE_INLINE typename B::Values every_second(typename B::Values a, typename B::Values b,
                                              std::integer_sequence<int, k...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, (first + 2 * k)...);
#else
  return __builtin_shuffle(a, b, typename B::Places{(first + 2 * k)...});
#endif
}

// a[k] = from[2 k], b[k] = from[2 k + 1]
template <typename B>
DLCORE_INLINE void load_pairs(const typename B::Element* from, typename B::Values& a, typename B::Values& b) {
  constexpr std::make_integer_sequence<int, B::count> all;
  typename B::Values low, high;
  std::memcpy(&low, from, sizeof low);
  std::memcpy(&high, from + B::count, sizeof high);
  a = every_second<B, 0>(low, high, all);
  b = every_second<B, 1>(low, high, all);
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
