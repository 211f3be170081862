// Sums of rows, of columns and of everything, added in double in an order that the shape decides; and loops over the
// elements of a layer. What is added and what becomes of the sums say small function objects.
#pragma once

#include "../csrc/memory.h"
#include "launch.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// f(row, column) of rows of columns, without a division.
template <typename F> __global__ void for_each_kernel(Index rows, Index columns, F f) {
  for (Index row = blockIdx.x; row < rows; row += gridDim.x)
    for (Index column = threadIdx.x; column < columns; column += blockDim.x) f(row, column);
}
template <typename F> __global__ void for_each_flat_kernel(Index columns, F f) {
  for (Index column = global_thread(); column < columns; column += global_threads()) f(Index{0}, column);
}
template <typename F> void for_each(const char* name, Index rows, Index columns, const F& f) {
  if (columns == 0) return;
  if (rows == 1) return launch(name, for_each_flat_kernel<F>, grid_over(columns), columns, f);
  launch(name, for_each_kernel<F>,
         grid_of_blocks(rows, columns <= 64    ? 64
                              : columns <= 128 ? 128
                                               : 256),
         rows, columns, f);
}

template <typename T> __device__ inline T sum_of_warp(T x) {
  for (int apart = warp_size / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(full_warp, x, apart);
  return x;
}

// finish(row, sum over columns of value(row, column)); a warp for each row.
template <typename F, typename G> __global__ void row_sums_kernel(Index rows, Index columns, F value, G finish) {
  const Index lane = threadIdx.x % warp_size;
  for (Index row = global_thread() / warp_size; row < rows; row += global_threads() / warp_size) {
    double sum = 0;
    for (Index column = lane; column < columns; column += warp_size) sum += value(row, column);
    sum = sum_of_warp(sum);
    if (lane == 0) finish(row, sum);
  }
}
template <typename F, typename G>
void row_sums(const char* name, Index rows, Index columns, const F& value, const G& finish) {
  launch(name, row_sums_kernel<F, G>, grid_over(rows * warp_size), rows, columns, value, finish);
}

// finish(column, sum over rows of value(row, column)); eight threads for each column.
template <typename F, typename G> __global__ void column_sums_kernel(Index rows, Index columns, F value, G finish) {
  constexpr int across = 32, down = 8;
  DLCORE_SHARED(partial, double[down][across]);
  const int x = static_cast<int>(threadIdx.x) % across, y = static_cast<int>(threadIdx.x) / across;
  for (Index first = blockIdx.x * Index{across}; first < columns; first += gridDim.x * Index{across}) {
    const Index column = first + x;
    double sum = 0;
    if (column < columns)
      for (Index row = y; row < rows; row += down) sum += value(row, column);
    partial[y][x] = sum;
    __syncthreads();
    if (y == 0 && column < columns) {
      for (int i = 1; i < down; ++i) sum += partial[i][x];
      finish(column, sum);
    }
    __syncthreads();
  }
}
template <typename F, typename G>
void column_sums(const char* name, Index rows, Index columns, const F& value, const G& finish) {
  launch(name, column_sums_kernel<F, G>, grid_of_blocks(ceil_div(columns, 32), 256), rows, columns, value, finish);
}

// The sum of a block of 256 threads, in its thread 0.
__device__ inline double sum_of_block(double x) {
  DLCORE_SHARED(warps, double[8]);
  x = sum_of_warp(x);
  if (threadIdx.x % warp_size == 0) warps[threadIdx.x / warp_size] = x;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int i = 1; i < 8; ++i) x += warps[i];
  return x;
}

inline constexpr Index total_block = 4096;
template <typename F> __global__ void total_kernel(Index n, F value, double* partial) {
  const Index first = blockIdx.x * total_block, last = first + total_block < n ? first + total_block : n;
  double sum = 0;
  for (Index i = first + threadIdx.x; i < last; i += blockDim.x) sum += value(i);
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
__global__ void total_of_partials_kernel(Index n, const double* partial, double factor, double* total) {
  double sum = 0;
  for (Index i = threadIdx.x; i < n; i += blockDim.x) sum += partial[i];
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) *total = factor * sum;
}
// total = factor times the sum of value(i) over i < n, on the device.
template <typename F> void add_up(const char* name, Index n, const F& value, double factor, double* total) {
  const Index blocks = ceil_div(n, total_block);
  const Buffer<double> partial(blocks);
  launch(name, total_kernel<F>, Grid{dim3(static_cast<unsigned>(blocks)), 256}, n, value, partial.data());
  launch(name, total_of_partials_kernel, Grid{dim3(1), 256}, blocks, partial.data(), factor, total);
}

template <typename From, typename To> struct Convert {
  const From* from;
  To* to;
  __device__ void operator()(Index, Index i) const { to[i] = static_cast<To>(from[i]); }
};
template <typename From, typename To> void convert(const char* name, Index n, const From* from, To* to) {
  for_each(name, 1, n, Convert<From, To>{from, to});
}

template <typename T> struct ElementOf {
  Index columns;
  const T* x;
  __device__ double operator()(Index row, Index column) const { return static_cast<double>(x[row * columns + column]); }
};
struct AddTo {
  double* to;
  __device__ void operator()(Index i, double sum) const { to[i] += sum; }
};
template <typename T> struct Store {
  T* to;
  __device__ void operator()(Index i, double sum) const { to[i] = static_cast<T>(sum); }
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
