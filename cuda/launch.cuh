// How every kernel is launched and every error of CUDA becomes an exception; what kernels share. The one header that
// knows whether nvcc builds `_cuda` or a C++ compiler the emulation `_cuda_host` (emulate/emulate.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <type_traits>
#include <utility>

// The formulas of csrc/*_vec.h and loss_pointwise.h, one element at a time.
#define DLCORE_LANES "../cuda/lanes.cuh"

#include "../csrc/graph.h"
#include "../csrc/types.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "emulate/emulate.h"
#include "emulate/graphs.h"
#endif

#include "recorder.cuh"

namespace dlcore::DLCORE_DEVICE {

#ifdef __CUDACC__
inline constexpr bool emulated = false;
#else
inline constexpr bool emulated = true;
#endif

// --- Errors and streams (stream.cu) ---

// RuntimeError in Python, "what: CUDA's text (CUDA's name)"; MemoryError where memory ran out.
[[noreturn]] void throw_error(cudaError_t error, const char* what);
inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw_error(error, what);
}

// The right to put work on the device, held by one thread of the process at a time and briefly. Each thread has a
// stream of its own; where the turn passes to another thread, that thread's stream first waits for all that was put
// before. So work runs in the order in which the host issued it, whichever threads did, memory may be handed on as soon
// as its last use is issued, and a thread can capture its stream.
class Turn {
 public:
  Turn();
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  cudaStream_t stream() const { return stream_; }

 private:
  cudaStream_t stream_;
};

// Waits for all work issued so far; errors of kernels come to light here, with the name of the last one launched.
void synchronize();
// After a launch: its error, and with DLCORE_CUDA_SYNC=1 that of the kernel itself.
void check_launch(const char* name, cudaStream_t stream);
bool synchronizes_each_launch();
int multiprocessors();
void count_launch();

// --- Launching ---

struct Grid {
  dim3 blocks;
  dim3 threads = dim3(256);
  std::size_t shared_bytes = 0;  // dynamic
};

template <typename... Parameters>
void record(const char* name, void (*kernel)(Parameters...), const Grid& grid, Parameters... values) {
  void* arguments[] = {static_cast<void*>(&values)..., nullptr};
  static constexpr std::size_t sizes[] = {sizeof(Parameters)..., 0};
#ifdef __CUDACC__
  const void* function = reinterpret_cast<const void*>(kernel);
#else
  const void* function = emulate::Caller<Parameters...>::function(name, kernel);
#endif
  recorder->kernel({name, grid, function, arguments, sizes, sizeof...(Parameters)});
}

// Runs kernel(arguments...) on this thread's stream. Nothing is launched where the grid is empty, so that kernels need
// no care for sizes of 0. `name` is what errors are reported with.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const Grid& grid, Arguments&&... arguments) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
#ifdef __CUDACC__
  constexpr std::size_t shared_by_default = 48 << 10;
  if (grid.shared_bytes > shared_by_default)
    check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(grid.shared_bytes)),
        name);
#endif
  if (recorder) {
    record(name, kernel, grid, static_cast<Parameters>(std::forward<Arguments>(arguments))...);
    return;
  }
#ifdef __CUDACC__
  const Turn turn;
  kernel<<<grid.blocks, grid.threads, grid.shared_bytes, turn.stream()>>>(
      static_cast<Parameters>(std::forward<Arguments>(arguments))...);
  check_launch(name, turn.stream());
  count_launch();
#else
  const auto call = [&] { kernel(static_cast<Parameters>(arguments)...); };
  emulate::run(name, grid.blocks, grid.threads, grid.shared_bytes, &call,
               [](const void* context) { (*static_cast<decltype(&call)>(context))(); });
#endif
}

// A grid for loops of the form `for (i = global_thread(); i < n; i += global_threads())`: enough blocks to fill the
// device several times over. What the blocks compute must not depend on their number, which is the device's: sums that
// blocks contribute to are cut by shape (see reduce.cu).
inline Grid grid_over(Index n, Index items_per_thread = 1, unsigned threads = 256) {
  const Index needed = ceil_div(ceil_div(n, items_per_thread), threads);
  const Index most = Index{16} * multiprocessors();
  return {dim3(static_cast<unsigned>(needed < most ? needed : most)), dim3(threads), 0};
}
// One block for each of n things (rows, planes), of which each block takes every blocks-th.
inline Grid grid_of_blocks(Index n, unsigned threads, std::size_t shared_bytes = 0) {
  constexpr Index most = 1 << 20;
  return {dim3(static_cast<unsigned>(n < most ? n : most)), dim3(threads), shared_bytes};
}

// --- Within kernels ---

inline __device__ Index global_thread() { return static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x; }
inline __device__ Index global_threads() { return static_cast<Index>(gridDim.x) * blockDim.x; }

constexpr int warp_size = 32;
constexpr unsigned full_warp = 0xffffffffU;

// Shared memory: DLCORE_SHARED(tile, float[32][33]) declares `tile`; dynamic_shared<T>() is that of the launch. In the
// emulation each starts as NaN in every block and has a gap behind it that is looked at.
#ifdef __CUDACC__
#define DLCORE_SHARED(name, ...) __shared__ std::type_identity_t<__VA_ARGS__> name
template <typename T> __device__ inline T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char dlcore_dynamic_shared[];
  return reinterpret_cast<T*>(dlcore_dynamic_shared);
}
#else
#define DLCORE_SHARED(name, ...)                                 \
  static constexpr char name##_tag = 0;                          \
  auto& name = *static_cast<std::type_identity_t<__VA_ARGS__>*>( \
      ::dlcore::DLCORE_DEVICE::emulate::shared_array(&name##_tag, sizeof(std::type_identity_t<__VA_ARGS__>)))
template <typename T> T* dynamic_shared() { return static_cast<T*>(emulate::dynamic_shared()); }
#endif

// Two or four neighbours in one access of 16 bytes.
template <typename T> struct alignas(16) Pack {
  static constexpr int count = 16 / sizeof(T);
  T item[count];
};
inline bool is_aligned(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

// cp.async: global to shared memory without a register between, in groups; wait<n> returns when at most the n latest
// groups are under way. The copies are this thread's: others see them after a barrier.
#ifdef __CUDACC__
template <int bytes> __device__ inline void copy_async(void* shared, const void* global) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16);
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(global) : "memory");
  else asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(to), "l"(global), "n"(bytes) : "memory");
}
template <int bytes> __device__ inline void copy_async(void* shared, const void* global, int valid) {  // then zeros
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(valid) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(global), "n"(bytes), "r"(valid)
                 : "memory");
}
__device__ inline void commit_async() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int left> __device__ inline void wait_async() {
  asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}
#else
template <int bytes> void copy_async(void* shared, const void* global, int valid = bytes) {
  emulate::copy_async(shared, global, bytes, valid);
}
inline void commit_async() { emulate::commit_async(); }
template <int left> void wait_async() { emulate::wait_async(left); }
#endif

}  // namespace dlcore::DLCORE_DEVICE
