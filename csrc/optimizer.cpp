#include "optimizer.h"

#include <algorithm>
#include <limits>

#include "instances/optimizer.h"
#include "memory.h"
#include "optimizer_adam.h"
#include "optimizer_vec.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// lanes<double> elements, as double.
template <typename T> DLCORE_INLINE Vec<double> load_double(const T* p) {
  Vec<double> y;
  for (int i = 0; i < lanes<double>; ++i) y[i] = static_cast<double>(p[i]);
  return y;
}

// Sum of (scale x)^2 in double over chunks that are added in order.
template <typename T> double sum_of_squares(Index n, const T* x, double scale) {
  constexpr Index norm_chunk = 32768;
  const Index chunks = ceil_div(n, norm_chunk);
  const Buffer<double> partial(chunks);
  double* sums = partial.data();
  parallel_for(chunks, 1, [=](Index first, Index last) {
    constexpr int width = lanes<double>, count = 8;  // independent sums, to hide an addition's latency
    for (Index chunk = first; chunk < last; ++chunk) {
      Vec<double> part[count] = {};
      Index i = chunk * norm_chunk;
      const Index end = std::min(n, i + norm_chunk);
      for (; i + count * width <= end; i += count * width)
        for (int k = 0; k < count; ++k) {
          const Vec<double> value = scale * load_double(x + i + k * width);
          part[k] += value * value;
        }
      for (; i + width <= end; i += width) {
        const Vec<double> value = scale * load_double(x + i);
        part[0] += value * value;
      }
      double rest = 0;
      for (; i < end; ++i) rest += (scale * static_cast<double>(x[i])) * (scale * static_cast<double>(x[i]));
      for (int step = count / 2; step > 0; step /= 2)
        for (int k = 0; k < step; ++k) part[k] += part[k + step];
      sums[chunk] = horizontal_sum<double>(part[0]) + rest;
    }
  });
  double total = 0;
  for (Index chunk = 0; chunk < chunks; ++chunk) total += sums[chunk];
  return total;
}

}  // namespace

template <typename T> double norm(Index n, const T* x) {
  if (n == 0) return 0;
  const double squares = sum_of_squares(n, x, 1);
  if constexpr (sizeof(T) == 4) {
    return std::sqrt(squares);  // float32's squares and their sums lie well within double
  } else {
    if (squares > 1e-200 && squares < std::numeric_limits<double>::infinity()) return std::sqrt(squares);
    double most = 0;  // a rare case: not worth threads
    for (Index i = 0; i < n; ++i) {
      const double size = std::abs(x[i]);
      if (!(size <= most)) most = size;  // also NaN, which then stays
      if (std::isnan(most)) return most;
    }
    if (most == 0 || std::isinf(most)) return most;
    const double unit = std::ldexp(1.0, std::clamp(std::ilogb(most), -1020, 1020));  // its reciprocal is exact
    return std::sqrt(sum_of_squares(n, x, 1 / unit)) * unit;
  }
}

template <typename T> bool norm_on_device(const T*, const std::pair<Index, Index>*, Index, double, double*, double&) {
  return false;
}

template <typename T> void sgd(Index n, const SgdOptions& options, const T* grad, T* theta, T* velocity) {
  const T lr = static_cast<T>(options.lr);
  const Gradient<T> gradient_ = gradient(grad, options.grad_scale, options.weight_decay);
  if (!velocity) {
    for_each_vector<T>(n, [=](auto at) {
      const Vec<T> x = at.get(theta);
      at.set(theta, x - lr * gradient_.at(at, x));
    });
    return;
  }
  const T momentum = static_cast<T>(options.momentum);
  const T take = options.first_step ? T(1) : static_cast<T>(1 - options.dampening);
  const bool first_step = options.first_step, nesterov = options.nesterov;
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> x = at.get(theta), g = gradient_.at(at, x);
    const Vec<T> v = first_step ? g : momentum * at.get(velocity) + take * g;
    at.set(velocity, v);
    at.set(theta, x - lr * (nesterov ? g + momentum * v : v));
  });
}

template <typename T> void adagrad(Index n, const AdagradOptions& options, const T* grad, T* theta, T* sum_of_squares) {
  const T lr = static_cast<T>(options.lr), eps = static_cast<T>(options.eps);
  const Gradient<T> gradient_ = gradient(grad, options.grad_scale, options.weight_decay);
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> x = at.get(theta), g = gradient_.at(at, x);
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
  const T momentum = static_cast<T>(options.momentum);
  const Gradient<T> gradient_ = gradient(grad, options.grad_scale, options.weight_decay);
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> x = at.get(theta), g = gradient_.at(at, x);
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
void adadelta(Index n, const AdadeltaOptions& options, const T* grad, T* theta, T* square_average, T* delta_average) {
  const T lr = static_cast<T>(options.lr), eps = static_cast<T>(options.eps);
  const T keep = static_cast<T>(options.rho), take = static_cast<T>(1 - options.rho);
  const Gradient<T> gradient_ = gradient(grad, options.grad_scale, options.weight_decay);
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> x = at.get(theta), g = gradient_.at(at, x);
    const Vec<T> square = keep * at.get(square_average) + take * (g * g), delta = at.get(delta_average);
    const Vec<T> d = square_root<T>((delta + eps) / (square + eps)) * g;
    at.set(square_average, square);
    at.set(delta_average, keep * delta + take * (d * d));
    at.set(theta, x - lr * d);
  });
}

template <typename T>
void adam(Index n, const AdamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment,
          T* max_second_moment) {
  if (max_second_moment) adam_pass<T, true>(n, options, grad, theta, first_moment, second_moment, max_second_moment);
  else adam_pass<T, false>(n, options, grad, theta, first_moment, second_moment, nullptr);
}

template <typename T>
void nadam(Index n, const NadamOptions& options, const T* grad, T* theta, T* first_moment, T* second_moment) {
  nadam_pass(n, options, grad, theta, first_moment, second_moment);
}

template <typename T>
void rprop(Index n, const RpropOptions& options, const T* grad, T* theta, T* previous_gradient, T* step_sizes) {
  using V = Vec<T>;
  const T shrink = static_cast<T>(options.eta_minus), grow = static_cast<T>(options.eta_plus);
  const T least = static_cast<T>(options.step_min), most = static_cast<T>(options.step_max);
  const T scale = static_cast<T>(options.grad_scale);
  for_each_vector<T>(n, [=](auto at) {
    const V g = scale * at.get(grad), previous = at.get(previous_gradient);
    const V agreement = sign_of<T>(g) * sign_of<T>(previous);  // the product of the gradients could underflow
    V size = at.get(step_sizes);
    size *= agreement > V{} ? splat(grow) : agreement < V{} ? splat(shrink) : splat(T(1));
    size = size < splat(least) ? splat(least) : size > splat(most) ? splat(most) : size;
    const V taken = agreement < V{} ? V{} : g;
    at.set(previous_gradient, taken);
    at.set(step_sizes, size);
    at.set(theta, at.get(theta) - sign_of<T>(taken) * size);
  });
}

template <typename T> void lion(Index n, const LionOptions& options, const T* grad, T* theta, T* first_moment) {
  const T lr = static_cast<T>(options.lr), shrink = static_cast<T>(1 - options.lr * options.weight_decay);
  const T keep1 = static_cast<T>(options.beta1), take1 = static_cast<T>(1 - options.beta1);
  const T keep2 = static_cast<T>(options.beta2), take2 = static_cast<T>(1 - options.beta2);
  const T scale = static_cast<T>(options.grad_scale);
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> g = scale * at.get(grad), m = at.get(first_moment);
    at.set(first_moment, keep2 * m + take2 * g);
    at.set(theta, shrink * at.get(theta) - lr * sign_of<T>(keep1 * m + take1 * g));
  });
}

template <typename T> void average_weights(Index n, double decay, const T* theta, T* average) {
  const T take = static_cast<T>(1 - decay);
  for_each_vector<T>(n, [=](auto at) {
    const Vec<T> mean = at.get(average);
    at.set(average, mean + take * (at.get(theta) - mean));
  });
}

DLCORE_OPTIMIZER_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
