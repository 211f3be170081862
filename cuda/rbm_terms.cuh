// The steps of what is added to a contrastive gradient: centring, sparsity, weight decay; see csrc/rbm.h.
#pragma once

#include "../csrc/memory.h"
#include "rbm_units.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// to = average + rate (mean - average)
template <typename T> struct Slide {
  T rate;
  __device__ T operator()(T mean, T average) const { return average + rate * (mean - average); }
};
template <typename T> void slide(Index n, double rate, const T* mean, const T* average, T* to) {
  map<T>("rbm: average", n, to, Slide<T>{static_cast<T>(rate)}, mean, average);
}

// Row i of [W, b] times scale_i; column `hidden` is b.
template <typename T> struct ScaleRows {
  Index visible, hidden;
  const T* scale;
  T* gradient;
  __device__ void operator()(Index i, Index j) const {
    gradient[j < hidden ? i * hidden + j : visible * hidden + i] *= scale[i];
  }
};
template <typename T> void scale_rows(Index visible, Index hidden, const T* scale, T* gradient) {
  for_each("rbm: scaled steps", visible, hidden + 1, ScaleRows<T>{visible, hidden, scale, gradient});
}

template <typename T> struct Centre {
  Index hidden;
  const T *mu, *lambda, *b, *c;
  T* w;
  __device__ void operator()(Index i, Index j) const {
    T& x = w[i * hidden + j];
    x = x - mu[i] * c[j] - b[i] * lambda[j];
  }
};
template <typename T>
void centre_weight(Index visible, Index hidden, const T* mu, const T* lambda, const T* b, const T* c, T* weight) {
  for_each("rbm: centre", visible, hidden, Centre<T>{hidden, mu, lambda, b, c, weight});
}

template <typename T> struct Excess {
  T cost, target;
  __device__ T operator()(T activity) const { return cost * (activity - target); }
};
template <typename T> void excess_of(Index n, T cost, T target, const T* activity, T* excess) {
  map<T>("rbm: sparsity", n, excess, Excess<T>{cost, target}, activity);
}

// Row i of W += v_i x, and c += x, which stands as row `visible`.
template <typename T> struct AddOuter {
  Index visible, hidden;
  const T *v, *x;
  T* gradient;
  __device__ void operator()(Index i, Index j) const {
    if (i < visible) gradient[i * hidden + j] += v[i] * x[j];
    else gradient[visible * hidden + visible + j] += x[j];
  }
};

template <typename T> void add_outer(Index visible, Index hidden, const T* v, const T* x, T* gradient) {
  for_each("rbm: sparsity", visible + 1, hidden, AddOuter<T>{visible, hidden, v, x, gradient});
}

template <typename T> void keep(Index n, const T* from, T* to) {
  copy_within(to, from, n * static_cast<Index>(sizeof(T)));
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE

#include "../csrc/rbm/add_terms.h"
