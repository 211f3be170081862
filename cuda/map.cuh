// y[i] = f(x[i], ...), and the first i for which something holds.
#pragma once

#include "../csrc/memory.h"
#include "lanes.cuh"

namespace dlcore::DLCORE_DEVICE {

template <typename T, typename F, typename... Inputs>
__global__ void map_kernel(Index n, T* y, F f, const Inputs*... x) {
  for (Index i = global_thread(); i < n; i += global_threads()) y[i] = f(x[i]...);
}

template <typename T> __device__ inline Pack<T> load_pack(const T* x, Index pack) {
  return reinterpret_cast<const Pack<T>*>(x)[pack];
}

// The same, 16 bytes at a time; all pointers are aligned to 16. The elements behind the last whole pack are the first
// threads'.
template <typename T, typename F, typename... Inputs>
__global__ void map_packs_kernel(Index n, T* y, F f, const Inputs*... x) {
  constexpr int count = Pack<T>::count;
  const Index packs = n / count, first = global_thread();
  for (Index i = first; i < packs; i += global_threads()) {
    const auto apply = [&](const Pack<Inputs>&... in) {
      Pack<T> out;
#pragma unroll
      for (int j = 0; j < count; ++j) out.item[j] = f(in.item[j]...);
      return out;
    };
    reinterpret_cast<Pack<T>*>(y)[i] = apply(load_pack(x, i)...);
  }
  if (first < n - packs * count) y[packs * count + first] = f(x[packs * count + first]...);
}

// y may be one of x. All have elements of one size.
template <typename T, typename F, typename... Inputs>
void map(const char* name, Index n, T* y, const F& f, const Inputs*... x) {
  static_assert(((sizeof(Inputs) == sizeof(T)) && ...));
  if ((is_aligned(y) && ... && is_aligned(x)))
    return launch(name, map_packs_kernel<T, F, Inputs...>, grid_over(n, Pack<T>::count), n, y, f, x...);
  launch(name, map_kernel<T, F, Inputs...>, grid_over(n), n, y, f, x...);
}

template <typename T> struct Zero {
  __device__ T operator()() const { return T(0); }
};

template <typename F> __global__ void first_where_kernel(Index n, F f, unsigned long long* first) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    if (!f(i)) continue;
    atomicMin(first, static_cast<unsigned long long>(i));
    return;  // the thread's later ones are larger
  }
}

// *x, waited for, of a check that passes where it is `good`. A graph goes on as if it were.
inline unsigned long long checked_value(const unsigned long long* x, unsigned long long good) {
  if (!recorder) return value_at(x);
  expect(x, good);
  return good;
}

// The first i in [0, n) for which f(i) holds, or n, with which the checks of a binding pass.
template <typename F> Index first_where(const char* name, Index n, const F& f) {
  if (n == 0) return 0;
  const Buffer<unsigned long long> first(1);
  const auto none = static_cast<unsigned long long>(n);
  copy_from_host(first.data(), &none, sizeof none);
  launch(name, first_where_kernel<F>, grid_over(n, 4), n, f, first.data());
  return static_cast<Index>(checked_value(first.data(), none));
}

}  // namespace dlcore::DLCORE_DEVICE
