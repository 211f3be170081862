// The steps of what is added to a contrastive gradient: centring, sparsity, weight decay; see rbm.h.
#pragma once

#include <algorithm>

#include "../parallel.h"
#include "../vecmath.h"
#include "units.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// to = average + rate (mean - average).
template <typename T> void slide(Index n, double rate, const T* mean, const T* average, T* to) {
  const Vec<T> take = splat(static_cast<T>(rate));
  map_vectors(n, to, [=](Vec<T> a, Vec<T> m) { return a + take * (m - a); }, average, mean);
}

// x_i *= scale_i of rows of W, and of b.
template <typename T> void scale_rows(Index visible, Index hidden, const T* scale, T* gradient) {
  parallel_for(visible, std::max<Index>(1, elementwise_grain / (hidden + 1)), [=](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      T* const row = gradient + i * hidden;
      const Vec<T> by = splat(scale[i]);
      map_vectors(hidden, row, [=](Vec<T> w) { return by * w; }, row);
      gradient[visible * hidden + i] *= scale[i];
    }
  });
}

// W -= mu c^T + b lambda^T.
template <typename T>
void centre_weight(Index visible, Index hidden, const T* mu, const T* lambda, const T* b, const T* c, T* weight) {
  parallel_for(visible, std::max<Index>(1, elementwise_grain / (hidden + 1)), [=](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      T* const row = weight + i * hidden;
      const Vec<T> m = splat(mu[i]), d = splat(b[i]);
      map_vectors(hidden, row, [=](Vec<T> w, Vec<T> dc, Vec<T> l) { return w - m * dc - d * l; }, row, c, lambda);
    }
  });
}

// excess = cost (activity - target).
template <typename T> void excess_of(Index n, T cost, T target, const T* activity, T* excess) {
  map_vectors(n, excess, [=](Vec<T> q) { return splat(cost) * (q - splat(target)); }, activity);
}

// W += v x^T of the gradient, and c += x.
template <typename T> void add_outer(Index visible, Index hidden, const T* v, const T* x, T* gradient) {
  parallel_for(visible, std::max<Index>(1, elementwise_grain / (hidden + 1)), [=](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      T* const row = gradient + i * hidden;
      const Vec<T> by = splat(v[i]);
      map_vectors(hidden, row, [=](Vec<T> w, Vec<T> e) { return w + by * e; }, row, x);
    }
  });
  T* const c = gradient + visible * hidden + visible;
  map_vectors(hidden, c, [](Vec<T> a, Vec<T> e) { return a + e; }, c, x);
}

template <typename T> void keep(Index n, const T* from, T* to) { std::copy(from, from + n, to); }

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE

#include "add_terms.h"
