// What the optimizers' kernels are written with: a pass over vectors of parameters, and the gradient they see.
#pragma once

#include <cmath>

#include "parallel.h"
#include "vec.h"

namespace dlcore::DLCORE_DEVICE {

// One vector's place in every array, whole or cut off by the end.
template <typename T> struct WholeVector {
  Index i;
  DLCORE_INLINE Vec<T> get(const T* p) const { return load(p + i); }
  DLCORE_INLINE void set(T* p, Vec<T> x) const { store(p + i, x); }
};
template <typename T> struct PartVector {
  Index i, count;
  DLCORE_INLINE Vec<T> get(const T* p) const { return load_partial(p + i, count); }
  DLCORE_INLINE void set(T* p, Vec<T> x) const { store_partial(p + i, x, count); }
};

// Calls update(place) for every vector of n elements.
template <typename T, typename Update> void for_each_vector(Index n, const Update& update) {
  parallel_for(n, elementwise_grain, [&](Index begin, Index end) {
    const Update body = update;  // its coefficients in registers: nothing the stores could change
    Index i = begin;
    for (; i + lanes<T> <= end; i += lanes<T>) body(WholeVector<T>{i});
    if (i < end) body(PartVector<T>{i, end - i});
  });
}

template <typename T> DLCORE_INLINE Vec<T> square_root(Vec<T> x) {
  Vec<T> y;
  for (int i = 0; i < lanes<T>; ++i) y[i] = std::sqrt(x[i]);
  return y;
}

template <typename T> DLCORE_INLINE Vec<T> sign_of(Vec<T> x) {
  return x > Vec<T>{} ? splat(T(1)) : x < Vec<T>{} ? splat(T(-1)) : x;  // zeros and NaN stay
}

// g = scale grad + decay theta. A decay of 0 does not touch theta: 0 times infinity would be NaN.
template <typename T> struct Gradient {
  const T* grad;
  T scale, decay;
  template <typename Place> DLCORE_INLINE Vec<T> at(const Place& place, Vec<T> theta) const {
    const Vec<T> g = scale * place.get(grad);
    return decay == T(0) ? g : g + decay * theta;
  }
};

template <typename T> Gradient<T> gradient(const T* grad, double scale, double decay) {
  return {grad, static_cast<T>(scale), static_cast<T>(decay)};
}

}  // namespace dlcore::DLCORE_DEVICE
