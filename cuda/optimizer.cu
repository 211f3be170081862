#include "../csrc/optimizer.h"

#include <algorithm>
#include <limits>

#include "../csrc/instances/optimizer.h"
#include "../csrc/memory.h"
#include "optimizer_rules.cuh"
#include "team.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// --- One pass over theta and the state: f(v) for the elements v of all arrays at one place, of which v[0], the
// gradient, is not written. ---

template <typename T, int count> struct Arrays {
  T* at[count];
};

// In a graph the gradient may be multiplied by *factor, too: rounded as by `scales_in_graph`'s caller without one.
template <typename F> __device__ inline F rule_of(const Own<Scaled<F>>& given, const double* factor) {
  Scaled<F> found = given.get();
  if (factor) scale_gradient(found.rule, found.scale * *factor);
  return found.rule;
}

template <typename T, int count, typename F>
__global__ void update_kernel(Index n, Own<Scaled<F>> rule, const double* factor, Arrays<T, count> arrays) {
  const F f = rule_of(rule, factor);
  for (Index i = global_thread(); i < n; i += global_threads()) {
    T v[count];
#pragma unroll
    for (int k = 0; k < count; ++k) v[k] = arrays.at[k][i];
    f(v);
#pragma unroll
    for (int k = 1; k < count; ++k) arrays.at[k][i] = v[k];
  }
}

// The same, 16 bytes at a time.
template <typename T, int count, typename F>
__global__ void update_packs_kernel(Index n, Own<Scaled<F>> rule, const double* factor, Arrays<T, count> arrays) {
  const F f = rule_of(rule, factor);
  constexpr int width = Pack<T>::count;
  const Index packs = n / width, first = global_thread();
  for (Index i = first; i < packs; i += global_threads()) {
    Pack<T> pack[count];
#pragma unroll
    for (int k = 0; k < count; ++k) pack[k] = reinterpret_cast<const Pack<T>*>(arrays.at[k])[i];
#pragma unroll
    for (int j = 0; j < width; ++j) {
      T v[count];
#pragma unroll
      for (int k = 0; k < count; ++k) v[k] = pack[k].item[j];
      f(v);
#pragma unroll
      for (int k = 1; k < count; ++k) pack[k].item[j] = v[k];
    }
#pragma unroll
    for (int k = 1; k < count; ++k) reinterpret_cast<Pack<T>*>(arrays.at[k])[i] = pack[k];
  }
  if (first < n - packs * width) {
    T v[count];
    for (int k = 0; k < count; ++k) v[k] = arrays.at[k][packs * width + first];
    f(v);
    for (int k = 1; k < count; ++k) arrays.at[k][packs * width + first] = v[k];
  }
}

template <typename T, typename F, typename... State>
void update(const char* name, Index n, double scale, const F& f, const T* grad, State*... state) {
  constexpr int count = 1 + static_cast<int>(sizeof...(State));
  const Arrays<T, count> arrays{{const_cast<T*>(grad), state...}};
  const Own<Scaled<F>> rule = own(Scaled<F>{f, scale});
  const double* const factor = recorder ? recorder->factor : nullptr;
  if ((is_aligned(grad) && ... && is_aligned(state)))
    return launch(name, update_packs_kernel<T, count, F>, grid_over(n, Pack<T>::count), n, rule, factor, arrays);
  launch(name, update_kernel<T, count, F>, grid_over(n), n, rule, factor, arrays);
}

// --- The norm: squares added in double, over chunks of a fixed length ---

constexpr Index norm_chunk = 64 * team_block;

template <typename T> __global__ void squares_kernel(Index chunks, Index n, const T* x, double scale, double* partial) {
  using Row = RowTeam<team_block>;
  for (Index chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    const Index first = chunk * norm_chunk, end = first + norm_chunk < n ? first + norm_chunk : n;
    double sum = 0;
    for (Index i = first + Row::rank(); i < end; i += team_block) {
      const double value = scale * static_cast<double>(x[i]);
      sum += value * value;
    }
    sum = Row::sum(sum);
    if (Row::rank() == 0) partial[chunk] = sum;
  }
}

__global__ void add_partial_kernel(Index n, double* partial) {
  using Row = RowTeam<team_block>;
  double sum = 0;
  for (Index i = Row::rank(); i < n; i += team_block) sum += partial[i];
  sum = Row::sum(sum);
  if (Row::rank() == 0) partial[0] = sum;
}

using Stretch = std::pair<Index, Index>;

// The sum over all stretches, to the first of the partial sums.
template <typename T> Buffer<double> add_squares(const T* x, const Stretch* stretches, Index count, double scale) {
  const auto chunks_of = [](const Stretch& s) { return ceil_div(s.second - s.first, norm_chunk); };
  Index chunks = 0;
  for (Index i = 0; i < count; ++i) chunks += chunks_of(stretches[i]);
  Buffer<double> partial(std::max<Index>(1, chunks));
  double* to = partial.data();
  for (Index i = 0; i < count; to += chunks_of(stretches[i++])) {
    const Index n = stretches[i].second - stretches[i].first, parts = chunks_of(stretches[i]);
    launch("norm", squares_kernel<T>, grid_of_blocks(parts, team_block), parts, n, x + stretches[i].first, scale, to);
  }
  launch("norm", add_partial_kernel, grid_of_blocks(1, team_block), chunks, partial.data());
  return partial;
}
template <typename T> double sum_of_squares(Index n, const T* x, double scale) {
  const Stretch all(0, n);
  return value_at(add_squares(x, &all, 1, scale).data());
}

// float64's squares may leave double's range where the norm does not; those of float32 and their sums lie well within.
constexpr double least_squares = 1e-200, above_least_norm = 1e-99;
template <typename T> constexpr bool is_within_range(double squares) {
  return sizeof(T) == 4 || (squares > least_squares && squares < std::numeric_limits<double>::infinity());
}

// Refused where the host must look: unless a norm that is too small is surely below the limit.
template <typename T>
__global__ void clip_kernel(const double* squares, double most, double* factor, GraphReport* report) {
  const double sum = *squares, found = std::sqrt(sum);
  const bool is_below = sum <= least_squares && most >= above_least_norm;
  if (!(is_within_range<T>(sum) || is_below) || !(found < std::numeric_limits<double>::infinity())) report->refused = 1;
  *factor = found > most ? most / found : 1.0;
}

// The largest |x|, NaN where there is one.
__global__ void largest_size_kernel(Index n, const double* x, double* result) {
  using Row = RowTeam<team_block>;
  double most = 0;
  int has_nan = 0;
  for (Index i = Row::rank(); i < n; i += team_block) {
    const double size = std::fabs(x[i]);
    has_nan |= size != size;
    most = Larger{}(most, size);
  }
  most = Row::largest(most);
  has_nan = Row::largest(has_nan);
  if (Row::rank() == 0) *result = has_nan ? quiet_nan<double>() : most;
}

}  // namespace

template <typename T> double norm(Index n, const T* x) {
  if (n == 0) return 0;
  const double squares = sum_of_squares(n, x, 1);
  if constexpr (sizeof(T) == 4) {
    return std::sqrt(squares);
  } else {
    if (is_within_range<T>(squares)) return std::sqrt(squares);
    const Buffer<double> result(1);  // a rare case: one block is enough
    launch("norm", largest_size_kernel, grid_of_blocks(1, team_block), n, x, result.data());
    const double most = value_at(result.data());
    if (most == 0 || std::isinf(most) || std::isnan(most)) return most;
    const int exponent = std::ilogb(most);
    const double unit = std::ldexp(1.0, exponent < -1020 ? -1020 : exponent > 1020 ? 1020 : exponent);
    return std::sqrt(sum_of_squares(n, x, 1 / unit)) * unit;  // the reciprocal is exact
  }
}

template <typename T>
bool norm_on_device(const T* x, const Stretch* stretches, Index count, double most, double* factor, double& found) {
  const Buffer<double> partial = add_squares(x, stretches, count, 1);
  if (recorder) {
    ++recorder->checks;
    launch("norm", clip_kernel<T>, Grid{dim3(1), dim3(1)}, partial.data(), most, factor, recorder->report);
    found = 0;
    return true;
  }
  const double squares = value_at(partial.data());
  found = std::sqrt(squares);
  return is_within_range<T>(squares);
}

template <typename T> void sgd(Index n, const SgdOptions& o, const T* grad, T* theta, T* velocity) {
  const Gradient<T> gradient(o.grad_scale, o.weight_decay);
  const T lr = static_cast<T>(o.lr);
  if (!velocity) return update("sgd", n, o.grad_scale, PlainSgd<T>{gradient, lr}, grad, theta);
  const T take = o.first_step ? T(1) : static_cast<T>(1 - o.dampening);
  update("sgd", n, o.grad_scale, Sgd<T>{gradient, lr, static_cast<T>(o.momentum), take, o.first_step, o.nesterov}, grad,
         theta, velocity);
}

template <typename T> void adagrad(Index n, const AdagradOptions& o, const T* grad, T* theta, T* sum_of_squares_) {
  const Adagrad<T> f{{o.grad_scale, o.weight_decay}, static_cast<T>(o.lr), static_cast<T>(o.eps)};
  update("adagrad", n, o.grad_scale, f, grad, theta, sum_of_squares_);
}

template <typename T>
void rmsprop(Index n, const RmspropOptions& o, const T* grad, T* theta, T* square_average, T* momentum_buffer,
             T* gradient_average) {
  const auto run = [&]<bool has_momentum, bool centred>(auto... state) {
    const Rmsprop<T, has_momentum, centred> f{{o.grad_scale, o.weight_decay}, static_cast<T>(o.lr),
                                              static_cast<T>(o.eps),          static_cast<T>(o.alpha),
                                              static_cast<T>(1 - o.alpha),    static_cast<T>(o.momentum)};
    update("rmsprop", n, o.grad_scale, f, grad, theta, square_average, state...);
  };
  if (momentum_buffer && gradient_average) run.template operator()<true, true>(momentum_buffer, gradient_average);
  else if (momentum_buffer) run.template operator()<true, false>(momentum_buffer);
  else if (gradient_average) run.template operator()<false, true>(gradient_average);
  else run.template operator()<false, false>();
}

template <typename T>
void adadelta(Index n, const AdadeltaOptions& o, const T* grad, T* theta, T* square_average, T* delta_average) {
  const Adadelta<T> f{{o.grad_scale, o.weight_decay},
                      static_cast<T>(o.lr),
                      static_cast<T>(o.eps),
                      static_cast<T>(o.rho),
                      static_cast<T>(1 - o.rho)};
  update("adadelta", n, o.grad_scale, f, grad, theta, square_average, delta_average);
}

template <typename T>
void adam(Index n, const AdamOptions& o, const T* grad, T* theta, T* first_moment, T* second_moment,
          T* max_second_moment) {
  const T step_size = static_cast<T>(o.lr / (1 - std::pow(o.beta1, static_cast<double>(o.step))));
  const Moments<T> of(o);
  if (max_second_moment)
    update("adam", n, o.grad_scale, Adam<T, true>{of, step_size}, grad, theta, first_moment, second_moment,
           max_second_moment);
  else update("adam", n, o.grad_scale, Adam<T, false>{of, step_size}, grad, theta, first_moment, second_moment);
}

template <typename T>
void nadam(Index n, const NadamOptions& o, const T* grad, T* theta, T* first_moment, T* second_moment) {
  const T rate = static_cast<T>(o.adam.lr * (1 - o.mu) / (1 - o.mu_product));
  const T moment_rate = static_cast<T>(o.adam.lr * o.mu_next / (1 - o.mu_product * o.mu_next));
  update("nadam", n, o.adam.grad_scale, Nadam<T>{Moments<T>(o.adam), rate, moment_rate}, grad, theta, first_moment,
         second_moment);
}

template <typename T>
void rprop(Index n, const RpropOptions& o, const T* grad, T* theta, T* previous_gradient, T* step_sizes) {
  const Rprop<T> f{static_cast<T>(o.eta_minus), static_cast<T>(o.eta_plus), static_cast<T>(o.step_min),
                   static_cast<T>(o.step_max), static_cast<T>(o.grad_scale)};
  update("rprop", n, o.grad_scale, f, grad, theta, previous_gradient, step_sizes);
}

template <typename T> void lion(Index n, const LionOptions& o, const T* grad, T* theta, T* first_moment) {
  const Lion<T> f{static_cast<T>(o.lr),        static_cast<T>(1 - o.lr * o.weight_decay),
                  static_cast<T>(o.beta1),     static_cast<T>(1 - o.beta1),
                  static_cast<T>(o.beta2),     static_cast<T>(1 - o.beta2),
                  static_cast<T>(o.grad_scale)};
  update("lion", n, o.grad_scale, f, grad, theta, first_moment);
}

template <typename T> void average_weights(Index n, double decay, const T* theta, T* average) {
  update("average_weights", n, 1, AverageWeights<T>{static_cast<T>(1 - decay)}, theta, average);
}

DLCORE_OPTIMIZER_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
