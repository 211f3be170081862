// Neighbouring outputs of one row of a pooled plane, as vectors of any width.
#pragma once

#include <cstring>
#include <type_traits>
#include <utility>

#include "../pool.h"
#include "../vec.h"

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

// What handles planes one after the other: `last` the last of them, `others` the others, which may read and write a
// little beyond their end.
template <typename Plane> struct PlaneFunctions {
  Plane last = nullptr, others = nullptr;
  explicit operator bool() const { return last != nullptr; }
  Plane at(Index plane, Index end) const { return plane + 1 < end ? others : last; }
};

// Those that make(bytes, beyond) gives for constants: for a vector of up to `bytes`, the longest within a row; and
// beyond it, for the planes that may, where that is one vector instead of two. None for rows of less than 16 bytes.
template <int bytes, typename Make> auto choose_vectors(Index row_bytes, Index plane_bytes, const Make& make) {
  constexpr std::integral_constant<int, bytes> longest;
  PlaneFunctions<decltype(make(longest, std::false_type()))> chosen;
  if (row_bytes >= bytes) {
    chosen.last = chosen.others = make(longest, std::false_type());
  } else if constexpr (bytes > 16) {
    chosen = choose_vectors<bytes / 2>(row_bytes, plane_bytes, make);
    if (2 * row_bytes > bytes && plane_bytes >= bytes) chosen.others = make(longest, std::true_type());
  }
  return chosen;
}

// Elements 0, step, 2 step, ... of p. A step known at compile time becomes loads and shuffles.
template <typename V, typename T> DLCORE_INLINE V load_steps(const T* p, Index step) {
  constexpr int count = sizeof(V) / sizeof(T);
  T values[count];
  for (int k = 0; k < count; ++k) values[k] = p[k * step];
  V v;
  std::memcpy(&v, values, sizeof v);
  return v;
}

// The elements of a and b, side by side, whose numbers At() gives for 0, 1, ...
template <typename B, typename At, typename V, int... k>
DLCORE_INLINE V picked(V a, V b, At, std::integer_sequence<int, k...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, At()(k)...);
#else
  return __builtin_shuffle(a, b, typename B::Places{At()(k)...});
#endif
}
template <typename B, typename V, typename At> DLCORE_INLINE V picked(V a, V b, At at) {
  return picked<B>(a, b, at, std::make_integer_sequence<int, B::count>());
}

// Pairs of neighbours are parted and joined within lanes of 16 bytes, which costs least. Between, elements stand in
// lane order: a lane has its share of the first half of all, then that of the second.
template <typename B> struct Lanes {
  static constexpr int size = 16 / static_cast<int>(sizeof(typename B::Element)), half = size / 2;
  static constexpr int element_at(int k) { return k / size * half + k % half + (k % size < half ? 0 : B::count / 2); }
  static constexpr int place_of(int k) {
    const int within = k % (B::count / 2);
    return within / half * size + within % half + (k < B::count / 2 ? 0 : half);
  }
};

template <typename B, typename V> DLCORE_INLINE V to_lane_order(V v) {
  if constexpr (sizeof v == 16) return v;
  else return picked<B>(v, v, [](int k) { return Lanes<B>::element_at(k); });
}
template <typename B, typename V> DLCORE_INLINE V from_lane_order(V v) {
  if constexpr (sizeof v == 16) return v;
  else return picked<B>(v, v, [](int k) { return Lanes<B>::place_of(k); });
}

// to[2 k] = a[k], to[2 k + 1] = b[k]; a and b in lane order
template <typename B>
DLCORE_INLINE void store_pairs(typename B::Element* to, typename B::Values a, typename B::Values b) {
  using L = Lanes<B>;
  const auto join = [](int k) { return k / L::size * L::size + k % L::size / 2 + k % 2 * B::count; };
  const auto low = picked<B>(a, b, join), high = picked<B>(a, b, [](int k) { return decltype(join)()(k) + L::half; });
  std::memcpy(to, &low, sizeof low);
  std::memcpy(to + B::count, &high, sizeof high);
}

// a[k] = from[2 k], b[k] = from[2 k + 1]; a and b in lane order
template <typename B>
DLCORE_INLINE void load_pairs(const typename B::Element* from, typename B::Values& a, typename B::Values& b) {
  using L = Lanes<B>;
  typename B::Values low, high;
  std::memcpy(&low, from, sizeof low);
  std::memcpy(&high, from + B::count, sizeof high);
  const auto even = [](int k) {
    return k / L::size * L::size + 2 * (k % L::half) + (k % L::size < L::half ? 0 : B::count);
  };
  a = picked<B>(low, high, even);
  b = picked<B>(low, high, [](int k) { return decltype(even)()(k) + 1; });
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
