#include "optimizer.h"

#include <cmath>

#include "parallel.h"
#include "vec.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

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

// A decay of 0 does not touch theta: 0 times infinity would be NaN.
template <typename T> DLCORE_INLINE Vec<T> decayed(Vec<T> g, Vec<T> theta, T decay) {
  return decay == T(0) ? g : g + decay * theta;
}

template <typename T, bool decoupled>
void adam_pass(Index n, const AdamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment) {
  const double steps = static_cast<double>(options.step);
  const T step_size = static_cast<T>(options.lr / (1 - std::pow(options.beta1, steps)));
  const T inverse_correction = static_cast<T>(1 / std::sqrt(1 - std::pow(options.beta2, steps)));
  const T keep1 = static_cast<T>(options.beta1), take1 = static_cast<T>(1 - options.beta1);
  const T keep2 = static_cast<T>(options.beta2), take2 = static_cast<T>(1 - options.beta2);
  const T eps = static_cast<T>(options.eps), decay = static_cast<T>(options.weight_decay);
  const T shrink = static_cast<T>(1 - options.lr * options.weight_decay);
  for_each_vector<T>(n, [=](auto at) {
    Vec<T> x = at.get(theta), g = at.get(grad);
    if constexpr (decoupled) x *= shrink;
    else g = decayed<T>(g, x, decay);
    const Vec<T> m = keep1 * at.get(first_moment) + take1 * g;
    const Vec<T> v = keep2 * at.get(second_moment) + take2 * (g * g);
    at.set(first_moment, m);
    at.set(second_moment, v);
    at.set(theta, x - step_size * (m / (square_root<T>(v) * inverse_correction + eps)));
  });
}

}  // namespace

template <typename T> void sgd(Index n, const SgdOptions& options, const T* grad, T* theta, T* velocity) {
  const T lr = static_cast<T>(options.lr), decay = static_cast<T>(options.weight_decay);
  if (!velocity) {
    for_each_vector<T>(n, [=](auto at) {
      const Vec<T> x = at.get(theta);
      at.set(theta, x - lr * decayed<T>(at.get(grad), x, decay));
    });
    return;
  }
  const T momentum = static_cast<T>(options.momentum);
  const T take = options.first_step ? T(1) : static_cast<T>(1 - options.dampening);
  const bool first_step = options.first_step, nesterov = options.nesterov;
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> x = at.get(theta), g = decayed<T>(at.get(grad), x, decay);
    const Vec<T> v = first_step ? g : momentum * at.get(velocity) + take * g;
    at.set(velocity, v);
    at.set(theta, x - lr * (nesterov ? g + momentum * v : v));
  });
}

template <typename T> void adagrad(Index n, const AdagradOptions& options, const T* grad, T* theta, T* sum_of_squares) {
  const T lr = static_cast<T>(options.lr), eps = static_cast<T>(options.eps);
  const T decay = static_cast<T>(options.weight_decay);
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> x = at.get(theta), g = decayed<T>(at.get(grad), x, decay);
    const Vec<T> sum = at.get(sum_of_squares) + g * g;
    at.set(sum_of_squares, sum);
    at.set(theta, x - lr * (g / (square_root<T>(sum) + eps)));
  });
}

template <typename T>
void rmsprop(Index n, const RmspropOptions& options, const T* grad, T* theta, T* square_average, T* momentum_buffer,
             T* gradient_average) {
  const T lr = static_cast<T>(options.lr), eps = static_cast<T>(options.eps);
  const T keep = static_cast<T>(options.alpha), take = static_cast<T>(1 - options.alpha);
  const T decay = static_cast<T>(options.weight_decay), momentum = static_cast<T>(options.momentum);
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> x = at.get(theta), g = decayed<T>(at.get(grad), x, decay);
    Vec<T> variance = keep * at.get(square_average) + take * (g * g);
    at.set(square_average, variance);
    if (gradient_average) {
      const Vec<T> average = keep * at.get(gradient_average) + take * g;
      at.set(gradient_average, average);
      variance -= average * average;
      variance = variance < Vec<T>{} ? Vec<T>{} : variance;
    }
    Vec<T> d = g / (square_root<T>(variance) + eps);
    if (momentum_buffer) {
      d = momentum * at.get(momentum_buffer) + d;
      at.set(momentum_buffer, d);
    }
    at.set(theta, x - lr * d);
  });
}

template <typename T>
void adam(Index n, const AdamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment) {
  adam_pass<T, false>(n, options, grad, theta, first_moment, second_moment);
}

template <typename T>
void adamw(Index n, const AdamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment) {
  adam_pass<T, true>(n, options, grad, theta, first_moment, second_moment);
}

#define DLCORE_INSTANTIATE(T)                                                    \
  template void sgd(Index, const SgdOptions&, const T*, T*, T*);                 \
  template void adagrad(Index, const AdagradOptions&, const T*, T*, T*);         \
  template void rmsprop(Index, const RmspropOptions&, const T*, T*, T*, T*, T*); \
  template void adam(Index, const AdamOptions&, const T*, T*, T*, T*);           \
  template void adamw(Index, const AdamOptions&, const T*, T*, T*, T*);
DLCORE_INSTANTIATE(float)
DLCORE_INSTANTIATE(double)
#undef DLCORE_INSTANTIATE

}  // namespace dlcore::DLCORE_DEVICE
