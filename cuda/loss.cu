#include "../csrc/loss.h"

#include "map.cuh"
#include "team.cuh"

#include "../csrc/instances/loss.h"
#include "../csrc/loss_pointwise.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <typename T> __device__ T logit_of_target(Index columns, const T* row, std::int32_t target) {
  return target >= 0 && target < columns ? row[target] : quiet_nan<T>();
}

template <typename T, int width>
__global__ void cross_entropy_kernel(Index rows, Index columns, const T* logits, const std::int32_t* targets,
                                     T* losses) {
  using Row = RowTeam<width>;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    const T* x = logits + row * columns;
    const Exponentials<T> e = exponentials_of_row<T, width>(columns, x);
    if (Row::rank() == 0) losses[row] = std::log1p(e.rest) - (logit_of_target(columns, x, targets[row]) - e.m);
  }
}

template <typename T, int width>
__global__ void cross_entropy_grad_kernel(Index rows, Index columns, const T* dlosses, const T* logits,
                                          const std::int32_t* targets, T* dlogits) {
  using Row = RowTeam<width>;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    const T* x = logits + row * columns;
    const Exponentials<T> e = exponentials_of_row<T, width>(columns, x);
    const Index target = targets[row];
    const T dloss = dlosses[row], all = 1 + e.rest, factor = dloss / all;
    for (Index j = Row::rank(); j < columns; j += width) {
      const T d = x[j] - e.m;
      // Of the target: -(sum of the other exponentials) / (sum of all), without cancellation where it leads.
      const T others = d == T(0) ? e.rest : all - std::exp(d);
      dlogits[row * columns + j] = j == target ? dloss * (-others / all) : std::exp(d) * factor;
    }
  }
}

// sum(t) log(sum e) - sum(t d); a target of 0 meets no -infinity.
template <typename T, int width>
__global__ void soft_cross_entropy_kernel(Index rows, Index columns, const T* logits, const T* targets, T* losses) {
  using Row = RowTeam<width>;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    const T *x = logits + row * columns, *weights = targets + row * columns;
    const Exponentials<T> e = exponentials_of_row<T, width>(columns, x);
    T total = 0, dot = 0;
    for (Index j = Row::rank(); j < columns; j += width) {
      const T t = weights[j];
      total += t;
      dot += t == T(0) ? t : t * (x[j] - e.m);
    }
    total = Row::sum(total);
    dot = Row::sum(dot);
    if (Row::rank() == 0) losses[row] = columns == 0 ? T(0) : total * std::log1p(e.rest) - dot;
  }
}

// p (sum of t) - t for p = e / (1 + rest), the targets of the leading class apart: without cancellation where e = 1
// leads.
template <typename T, int width>
__global__ void soft_cross_entropy_grad_kernel(Index rows, Index columns, const T* dlosses, const T* logits,
                                               const T* targets, T* dlogits) {
  using Row = RowTeam<width>;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    const T *x = logits + row * columns, *weights = targets + row * columns;
    const Exponentials<T> e = exponentials_of_row<T, width>(columns, x);
    T top = 0, below = 0;
    for (Index j = Row::rank(); j < columns; j += width) (x[j] - e.m == T(0) ? top : below) += weights[j];
    top = Row::sum(top);
    below = Row::sum(below);
    const T dloss = dlosses[row], all = 1 + e.rest;
    for (Index j = Row::rank(); j < columns; j += width) {
      const T d = x[j] - e.m, t = weights[j];
      const T leading = (below + (top - t)) - t * e.rest;
      dlogits[row * columns + j] = dloss * (d == T(0) ? leading / all : std::exp(d) * ((below + top) / all) - t);
    }
  }
}

template <typename L, typename T> struct Value {
  double p;
  __device__ T operator()(T f, T y) const { return L::value(f, y, p); }
};
template <typename L, typename T> struct First {
  double p;
  __device__ T operator()(T d, T f, T y) const { return d * L::first(f, y, p); }
};
template <typename L, typename T> struct Second {
  double p;
  __device__ T operator()(T d, T f, T y) const { return pointwise::weigh<T>(d, L::second(f, y, p)); }
};

}  // namespace

template <typename T>
void softmax_cross_entropy(Index rows, Index columns, const T* logits, const std::int32_t* targets, T* losses) {
  DLCORE_LAUNCH_ROWS("softmax_cross_entropy", cross_entropy_kernel, T, rows, columns, rows, columns, logits, targets,
                     losses);
}

template <typename T>
void softmax_cross_entropy_grad(Index rows, Index columns, const T* dlosses, const T* logits,
                                const std::int32_t* targets, T* dlogits) {
  DLCORE_LAUNCH_ROWS("softmax_cross_entropy_grad", cross_entropy_grad_kernel, T, rows, columns, rows, columns, dlosses,
                     logits, targets, dlogits);
}

template <typename T>
void softmax_cross_entropy_soft(Index rows, Index columns, const T* logits, const T* targets, T* losses) {
  DLCORE_LAUNCH_ROWS("softmax_cross_entropy", soft_cross_entropy_kernel, T, rows, columns, rows, columns, logits,
                     targets, losses);
}

template <typename T>
void softmax_cross_entropy_soft_grad(Index rows, Index columns, const T* dlosses, const T* logits, const T* targets,
                                     T* dlogits) {
  DLCORE_LAUNCH_ROWS("softmax_cross_entropy_grad", soft_cross_entropy_grad_kernel, T, rows, columns, rows, columns,
                     dlosses, logits, targets, dlogits);
}

#define DLCORE_SMOOTH_CASES        \
  DLCORE_CASE(squared)             \
  DLCORE_CASE(absolute)            \
  DLCORE_CASE(epsilon_insensitive) \
  DLCORE_CASE(huber)               \
  DLCORE_CASE(log_cosh)            \
  DLCORE_CASE(hinge)               \
  DLCORE_CASE(squared_hinge)       \
  DLCORE_CASE(logistic)            \
  DLCORE_CASE(log_loss)            \
  DLCORE_CASE(kl)                  \
  DLCORE_CASE(kl_log)              \
  DLCORE_CASE(poisson)             \
  DLCORE_CASE(poisson_log)         \
  DLCORE_CASE(gaussian_kernel)     \
  DLCORE_CASE(correntropy)         \
  DLCORE_CASE(focal)

template <typename T>
void pointwise_loss(PointwiseLoss kind, double parameter, Index n, const T* f, const T* y, T* losses) {
  switch (kind) {
#define DLCORE_CASE(name)   \
  case PointwiseLoss::name: \
    return map("pointwise_loss", n, losses, Value<pointwise::Loss<PointwiseLoss::name, T>, T>{parameter}, f, y);
    DLCORE_SMOOTH_CASES
    DLCORE_CASE(tolerance)
    DLCORE_CASE(zero_one)
#undef DLCORE_CASE
  }
}

template <typename T>
void pointwise_loss_grad(PointwiseLoss kind, double parameter, Index n, const T* dlosses, const T* f, const T* y,
                         T* df) {
  switch (kind) {
#define DLCORE_CASE(name)                                                                                              \
  case PointwiseLoss::name:                                                                                            \
    return map("pointwise_loss_grad", n, df, First<pointwise::Loss<PointwiseLoss::name, T>, T>{parameter}, dlosses, f, \
               y);
    DLCORE_SMOOTH_CASES
#undef DLCORE_CASE
    default: return;
  }
}

template <typename T>
void pointwise_loss_hessian(PointwiseLoss kind, double parameter, Index n, const T* dlosses, const T* f, const T* y,
                            T* ddf) {
  switch (kind) {
#define DLCORE_CASE(name)                                                                                       \
  case PointwiseLoss::name:                                                                                     \
    return map("pointwise_loss_hessian", n, ddf, Second<pointwise::Loss<PointwiseLoss::name, T>, T>{parameter}, \
               dlosses, f, y);
    DLCORE_SMOOTH_CASES
#undef DLCORE_CASE
    default: return;
  }
}

DLCORE_LOSS_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
