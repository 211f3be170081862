#include "../csrc/activation.h"

#include "map.cuh"
#include "team.cuh"

#include "../csrc/activation_vec.h"
#include "../csrc/instances/activation.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <Activation kind, typename T> struct Activate {
  T parameter;
  __device__ T operator()(T x) const { return activate<kind, T>(x, parameter); }
};
template <Activation kind, typename T> struct ActivateGrad {
  T parameter;
  __device__ T operator()(T dy, T y) const { return activate_grad<kind, T>(dy, y, parameter); }
};

template <typename T, int width> __global__ void softmax_kernel(Index rows, Index columns, const T* x, T* y) {
  using Row = RowTeam<width>;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    const T* from = x + row * columns;
    const Exponentials<T> e = exponentials_of_row<T, width>(columns, from);
    const T inverse = 1 / (1 + e.rest);
    for (Index j = Row::rank(); j < columns; j += width) y[row * columns + j] = std::exp(from[j] - e.m) * inverse;
  }
}

template <typename T, int width>
__global__ void softmax_grad_kernel(Index rows, Index columns, const T* dy, const T* y, T* dx) {
  using Row = RowTeam<width>;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    const T *from_dy = dy + row * columns, *from_y = y + row * columns;
    T dot = 0;
    for (Index j = Row::rank(); j < columns; j += width) dot += from_y[j] * from_dy[j];
    dot = Row::sum(dot);
    for (Index j = Row::rank(); j < columns; j += width) dx[row * columns + j] = from_y[j] * (from_dy[j] - dot);
  }
}

template <typename T, int width> __global__ void log_softmax_kernel(Index rows, Index columns, const T* x, T* y) {
  using Row = RowTeam<width>;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    const T* from = x + row * columns;
    const Exponentials<T> e = exponentials_of_row<T, width>(columns, from);
    const T log_sum = std::log1p(e.rest);
    for (Index j = Row::rank(); j < columns; j += width) y[row * columns + j] = (from[j] - e.m) - log_sum;
  }
}

template <typename T, int width>
__global__ void log_softmax_grad_kernel(Index rows, Index columns, const T* dy, const T* y, T* dx) {
  using Row = RowTeam<width>;
  for (Index row = Row::first_row(); row < rows; row += Row::row_step()) {
    const T *from_dy = dy + row * columns, *from_y = y + row * columns;
    T sum = 0;
    for (Index j = Row::rank(); j < columns; j += width) sum += from_dy[j];
    sum = Row::sum(sum);
    for (Index j = Row::rank(); j < columns; j += width) dx[row * columns + j] = from_dy[j] - std::exp(from_y[j]) * sum;
  }
}

}  // namespace

#define DLCORE_CASES      \
  DLCORE_CASE(identity)   \
  DLCORE_CASE(sigmoid)    \
  DLCORE_CASE(tanh)       \
  DLCORE_CASE(relu)       \
  DLCORE_CASE(leaky_relu) \
  DLCORE_CASE(elu)        \
  DLCORE_CASE(softplus)   \
  DLCORE_CASE(lecun_tanh)

template <typename T> void activation(Activation kind, T parameter, Index n, const T* x, T* y) {
  switch (kind) {
#define DLCORE_CASE(name) \
  case Activation::name: return map("activation", n, y, Activate<Activation::name, T>{parameter}, x);
    DLCORE_CASES
#undef DLCORE_CASE
  }
}

template <typename T> void activation_grad(Activation kind, T parameter, Index n, const T* dy, const T* y, T* dx) {
  switch (kind) {
#define DLCORE_CASE(name) \
  case Activation::name: return map("activation_grad", n, dx, ActivateGrad<Activation::name, T>{parameter}, dy, y);
    DLCORE_CASES
#undef DLCORE_CASE
  }
}

template <typename T> void softmax(Index rows, Index columns, const T* x, T* y) {
  DLCORE_LAUNCH_ROWS("softmax", softmax_kernel, T, rows, columns, rows, columns, x, y);
}
template <typename T> void softmax_grad(Index rows, Index columns, const T* dy, const T* y, T* dx) {
  DLCORE_LAUNCH_ROWS("softmax_grad", softmax_grad_kernel, T, rows, columns, rows, columns, dy, y, dx);
}
template <typename T> void log_softmax(Index rows, Index columns, const T* x, T* y) {
  DLCORE_LAUNCH_ROWS("log_softmax", log_softmax_kernel, T, rows, columns, rows, columns, x, y);
}
template <typename T> void log_softmax_grad(Index rows, Index columns, const T* dy, const T* y, T* dx) {
  DLCORE_LAUNCH_ROWS("log_softmax_grad", log_softmax_grad_kernel, T, rows, columns, rows, columns, dy, y, dx);
}

DLCORE_ACTIVATION_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
