// CUDA's language and the part of its runtime that cuda/*.cu use, given their meaning on the host: the same sources,
// with a C++ compiler, become the module `_cuda_host`. launch.cuh includes it in place of the CUDA headers.
//
// A block's threads are fibers of one thread of the processor; blocks run one after another. Between two barriers the
// threads run in an order that set_num_threads chooses: ascending for 1, descending for 2, shuffled for others, and so
// do the blocks. Results that depend on it (a missing barrier, a read of another block's writes) differ, and the case
// suite compares bits over 1, 2 and 4. What else is made to fail:
//   * shared memory starts as 0xFF bytes (NaN) in every block, with gaps behind each array that are looked at;
//   * cudaMalloc ends each allocation at a page that cannot be touched, and fills it with 0xFF: a stray access of a
//     kernel is an error that names the thread; while no kernel runs, allocations made under set_allocation_checks
//     cannot be touched at all, so that host code which follows a device pointer dies here too (with
//     DLCORE_CUDA_HOST_HIDE in the environment, all allocations; slow);
//   * a barrier that some threads of the block do not reach, and a collective of a warp that some of its lanes do not
//     reach, are errors;
//   * cp.async copies as late as it may (when waited for) in ascending order, at once in the others; until then its
//     destination is 0xFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "../../csrc/types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

namespace dlcore::DLCORE_DEVICE {

// --- Vector types ---

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// --- The runtime ---

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorIllegalAddress = 700
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
using cudaStream_t = void*;
using cudaEvent_t = void*;

const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaMalloc(void** pointer, std::size_t bytes);
// cudaErrorIllegalAddress: a kernel wrote into the few bytes between the allocation and its page's ends.
cudaError_t cudaFree(void* pointer);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream);

namespace emulate {

// What a thread knows of itself: threadIdx, blockIdx, blockDim, gridDim.
struct Place {
  uint3 thread, block;
  dim3 block_size, grid_size;
};
extern thread_local const Place* place;

// Runs body(context) once for every thread of every block. Throws std::runtime_error: what a kernel did wrong, and
// where; an invalid configuration as CUDA's text.
void run(const char* name, dim3 grid, dim3 block, std::size_t shared_bytes, const void* context,
         void (*body)(const void* context));

void set_order(int threads);     // of threads and blocks; see above
Index launches();                // of more than one thread, so far
void hide_allocations(bool on);  // those made from now on, while no kernel runs

void block_barrier();
void warp_barrier(unsigned mask, bool orders_memory);
void* dynamic_shared();
void* shared_array(const void* tag, std::size_t bytes);  // one for each tag and block

// The `bytes` (at most 64) of each lane of the warp that is in `mask`, 64 bytes apart, lane 0 first. Valid until the
// second collective from here.
const unsigned char* gather(unsigned mask, const void* value, std::size_t bytes);
constexpr std::size_t lane_stride = 64;
int lane();

template <typename T> T from_lane(const unsigned char* lanes, int source) {
  T value;
  std::memcpy(&value, lanes + static_cast<std::size_t>(source) * lane_stride, sizeof value);
  return value;
}

void copy_async(void* shared, const void* global, int bytes, int valid);  // zeros behind the first `valid`
void commit_async();
void wait_async(int groups_left);

#ifdef DLCORE_RACES
void begin_atomic();
void end_atomic();
struct Atomic {  // accesses while one lives are
  Atomic() { begin_atomic(); }
  ~Atomic() { end_atomic(); }
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;
};
#else
struct Atomic {
  Atomic() {}
};
#endif

}  // namespace emulate

#define threadIdx (::dlcore::DLCORE_DEVICE::emulate::place->thread)
#define blockIdx (::dlcore::DLCORE_DEVICE::emulate::place->block)
#define blockDim (::dlcore::DLCORE_DEVICE::emulate::place->block_size)
#define gridDim (::dlcore::DLCORE_DEVICE::emulate::place->grid_size)

// --- Barriers, shuffles and votes ---

inline void __syncthreads() { emulate::block_barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffU) { emulate::warp_barrier(mask, true); }
inline void __threadfence() {}
inline void __threadfence_block() {}

template <typename T> T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int lane = emulate::lane(), first = lane & ~(width - 1);
  return emulate::from_lane<T>(emulate::gather(mask, &value, sizeof value), first | (source & (width - 1)));
}
template <typename T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = emulate::lane(), source = lane + static_cast<int>(delta);
  const unsigned char* lanes = emulate::gather(mask, &value, sizeof value);
  return (lane & (width - 1)) + static_cast<int>(delta) < width ? emulate::from_lane<T>(lanes, source) : value;
}
template <typename T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = emulate::lane(), source = lane - static_cast<int>(delta);
  const unsigned char* lanes = emulate::gather(mask, &value, sizeof value);
  return (lane & (width - 1)) >= static_cast<int>(delta) ? emulate::from_lane<T>(lanes, source) : value;
}
template <typename T> T __shfl_xor_sync(unsigned mask, T value, int flip, int width = 32) {
  const int lane = emulate::lane(), source = lane ^ flip;
  const unsigned char* lanes = emulate::gather(mask, &value, sizeof value);
  return (source & ~(width - 1)) == (lane & ~(width - 1)) ? emulate::from_lane<T>(lanes, source) : value;
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const int vote = predicate != 0;
  const unsigned char* lanes = emulate::gather(mask, &vote, sizeof vote);
  unsigned result = 0;
  for (int i = 0; i < 32; ++i)
    if ((mask >> i & 1) != 0 && emulate::from_lane<int>(lanes, i) != 0) result |= 1U << i;
  return result;
}
inline unsigned __match_any_sync(unsigned mask, int value) {
  const unsigned char* lanes = emulate::gather(mask, &value, sizeof value);
  unsigned result = 0;
  for (int i = 0; i < 32; ++i)
    if ((mask >> i & 1) != 0 && emulate::from_lane<int>(lanes, i) == value) result |= 1U << i;
  return result;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }
inline int __syncthreads_count(int predicate);
inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) != 0; }
inline int __syncthreads_and(int predicate) { return __syncthreads_count(predicate == 0) == 0; }

// --- Integers and atomics. Blocks run one after another and fibers switch at barriers only: plain accesses would do.

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<std::uint64_t>(a) * b >> 32);
}
inline float __int_as_float(int bits) { return __builtin_bit_cast(float, bits); }
inline int __float_as_int(float x) { return __builtin_bit_cast(int, x); }
inline float __uint_as_float(unsigned bits) { return __builtin_bit_cast(float, bits); }
inline unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }

template <typename T> T atomicAdd(T* place, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "sums of floating-point numbers have a fixed order here");
  const emulate::Atomic atomic;
  const T old = *place;
  *place = static_cast<T>(old + value);
  return old;
}
template <typename T> T atomicMin(T* place, std::type_identity_t<T> value) {
  const emulate::Atomic atomic;
  const T old = *place;
  if (value < old) *place = value;
  return old;
}
template <typename T> T atomicMax(T* place, std::type_identity_t<T> value) {
  const emulate::Atomic atomic;
  const T old = *place;
  if (value > old) *place = value;
  return old;
}
template <typename T> T atomicOr(T* place, std::type_identity_t<T> value) {
  const emulate::Atomic atomic;
  const T old = *place;
  *place = old | value;
  return old;
}
template <typename T> T atomicExch(T* place, std::type_identity_t<T> value) {
  const emulate::Atomic atomic;
  return std::exchange(*place, value);
}
template <typename T> T atomicCAS(T* place, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  const emulate::Atomic atomic;
  const T old = *place;
  if (old == expected) *place = value;
  return old;
}

template <typename T> T __ldg(const T* place) { return *place; }

inline int __syncthreads_count(int predicate) {
  static const char tag = 0;
  int* votes = static_cast<int*>(emulate::shared_array(&tag, sizeof(int)));
  __syncthreads();
  atomicExch(votes, 0);
  __syncthreads();
  atomicAdd(votes, predicate != 0);
  __syncthreads();
  return *votes;
}

}  // namespace dlcore::DLCORE_DEVICE
