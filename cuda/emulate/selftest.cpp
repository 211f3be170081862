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

#ifdef DLCORE_RACES
// Races that no order of threads shows: what is written twice is the same.
template <bool has_barrier> __global__ void write_again_kernel(float* y) {
  DLCORE_SHARED(held, float[threads]);
  held[threadIdx.x] = 1;
  __syncthreads();
  const float x = held[(threadIdx.x + 1) % threads];
  if (has_barrier) __syncthreads();
  held[threadIdx.x] = 1;
  y[threadIdx.x] = x;
}
template <bool has_barrier> __global__ void shuffle_orders_nothing_kernel(float* y) {
  DLCORE_SHARED(held, float[warp_size]);
  if (threadIdx.x >= warp_size) return;
  held[threadIdx.x] = 1;
  const float x = __shfl_xor_sync(full_warp, 1.0F, 1);
  if (has_barrier) __syncwarp();
  y[threadIdx.x] = held[threadIdx.x ^ 1] * x;
}
__global__ void blocks_kernel(float* y) {
  if (threadIdx.x == 0) y[0] = 1;
}
__global__ void atomic_blocks_kernel(unsigned long long* y) { atomicMin(y, 1ULL); }
__global__ void halves_kernel(std::uint16_t* y) { y[global_thread()] = 1; }
template <int off> __global__ void vector_kernel(const float* x, float* y) {
  if (threadIdx.x > 0) return;
  const Pack<float> pack = *reinterpret_cast<const Pack<float>*>(x + off);
  *reinterpret_cast<Pack<float>*>(y) = pack;
}
#endif
template <int off> __global__ void async_kernel(const float* x, float* y) {
  DLCORE_SHARED(held, Pack<float>[1]);
  if (threadIdx.x > 0) return;
  copy_async<16>(held[0].item, x + off);
  commit_async();
  wait_async<0>();
  y[0] = held[0].item[0];
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
    const Grid grid{dim3(1), dim3(threads)};
    same &= message_of([&] { launch("rotate", rotate_kernel<has_barrier>, grid, x.data(), y.data()); }).empty();
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
  const Buffer<float> x(threads);
  const Grid one{dim3(1), dim3(threads)};
  // `part` of the message, or that there is none.
  const auto says = [](const char* what, const char* part, const Grid& blocks, const auto& kernel, auto*... arguments) {
    const std::string found = message_of([&] { launch("kernel", kernel, blocks, arguments...); });
    expect(what, *part ? found.find(part) != std::string::npos : found.empty());
  };
  says("an aligned cp.async is right", "", one, async_kernel<4>, x.data(), y.data());
  says("a cp.async that is not aligned is an error", "not aligned", one, async_kernel<1>, x.data(), y.data());
#ifdef DLCORE_RACES
  const Buffer<unsigned long long> least(1);
  const Buffer<std::uint16_t> halves(threads);
  says("a second write behind a barrier is right", "", one, write_again_kernel<true>, y.data());
  says("one without is a race", "a race in shared memory", one, write_again_kernel<false>, y.data());
  says("a warp's words behind __syncwarp are right", "", one, shuffle_orders_nothing_kernel<true>, y.data());
  says("behind a shuffle alone they race", "a race in shared", one, shuffle_orders_nothing_kernel<false>, y.data());
  says("neighbours in one word are right", "", one, halves_kernel, halves.data());
  says("a word may be written by one block", "", one, blocks_kernel, y.data());
  says("and not by two", "a race in global memory", grid, blocks_kernel, y.data());
  says("but atomically", "", grid, atomic_blocks_kernel, least.data());
  says("an aligned vector is right", "", one, vector_kernel<4>, x.data(), y.data());
  says("one that is not is an error", "not aligned", one, vector_kernel<1>, x.data(), y.data());
#endif
  return failures != 0;
}
