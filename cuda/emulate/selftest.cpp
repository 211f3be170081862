// What the emulation must catch: kernels that are deliberately wrong, and one that is right. Fails unless each does
// what is said of it.
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include "../../csrc/memory.h"
#include "../../csrc/parallel.h"
#include "../launch.cuh"

using namespace dlcore::DLCORE_DEVICE;

namespace {

constexpr int threads = 64;

__global__ void write_kernel(Index n, float* y) {
  for (Index i = global_thread(); i < n; i += global_threads()) y[i] = 1;
}

// y[i] = x of the thread's neighbour, by way of shared memory.
template <bool has_barrier> __global__ void rotate_kernel(const float* x, float* y) {
  DLCORE_SHARED(held, float[threads]);
  held[threadIdx.x] = x[threadIdx.x];
  if (has_barrier) __syncthreads();
  y[threadIdx.x] = held[(threadIdx.x + 1) % threads];
}

__global__ void half_barrier_kernel() {
  if (threadIdx.x < threads / 2) __syncthreads();
}

__global__ void overrun_kernel() {
  DLCORE_SHARED(held, float[threads]);
  held[threadIdx.x + 1] = 0;
}

__global__ void half_shuffle_kernel(float* y) {
  if (threadIdx.x % warp_size < 16) y[threadIdx.x] = __shfl_xor_sync(full_warp, 1.0F, 1);
}

int failures = 0;
void expect(const char* what, bool holds) {
  std::printf("%s  %s\n", holds ? "ok  " : "FAIL", what);
  failures += !holds;
}

template <typename F> std::string message_of(const F& f) {
  try {
    f();
  } catch (const std::runtime_error& error) { return error.what(); }
  return "";
}

template <bool has_barrier> bool same_in_every_order() {
  const Buffer<float> x(threads), y(threads);
  float from[threads], first[threads], again[threads];
  for (int i = 0; i < threads; ++i) from[i] = static_cast<float>(i);
  copy_from_host(x.data(), from, sizeof from);
  bool same = true;
  for (const int order : {1, 2, 4}) {
    set_num_threads(order);
    launch("rotate", rotate_kernel<has_barrier>, Grid{dim3(1), dim3(threads)}, x.data(), y.data());
    copy_to_host(order == 1 ? first : again, y.data(), sizeof first);
    if (order != 1) same &= std::memcmp(first, again, sizeof first) == 0;
  }
  set_num_threads(1);
  return same;
}

}  // namespace

int main() {
  set_allocation_checks(true);
  const Grid grid{dim3(2), dim3(threads)};
  {
    const Buffer<float> y(100);
    expect("a right kernel runs",
           message_of([&] { launch("write", write_kernel, grid, Index{100}, y.data()); }).empty());
    const std::string stray = message_of([&] { launch("write", write_kernel, grid, Index{101}, y.data()); });
    expect("a write behind an array is an error", stray.starts_with("write: an illegal memory access"));
    expect("it names the thread", stray.ends_with("in thread (36, 0, 0) of block (1, 0, 0)"));
    expect("kernels run after an error",
           message_of([&] { launch("write", write_kernel, grid, Index{1}, y.data()); }).empty());
  }
  expect("barriers make a rotation right in every order", same_in_every_order<true>());
  expect("a missing barrier changes results", !same_in_every_order<false>());
  expect("a barrier for half the threads is an error", message_of([&] {
                                                         launch("half", half_barrier_kernel, grid);
                                                       }).find("only 32 of 64 threads") != std::string::npos);
  expect("a write behind shared memory is an error",
         message_of([&] { launch("overrun", overrun_kernel, grid); }).find("shared array") != std::string::npos);
  const Buffer<float> y(threads);
  expect("a shuffle without some lanes is an error", message_of([&] {
                                                       launch("shuffle", half_shuffle_kernel, grid, y.data());
                                                     }).find("lanes") != std::string::npos);
  expect("too much shared memory is an error", message_of([&] {
                                                 launch("half", half_barrier_kernel, Grid{dim3(1), dim3(32), 1 << 20});
                                               }).find("invalid") != std::string::npos);
  return failures != 0;
}
