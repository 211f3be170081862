// The memory of a device: blocks of cudaMalloc behind the cache that all devices share, and the border to the host.
#include "../csrc/memory.h"

#include <cstdlib>
#include <cstring>
#include <exception>

#include "launch.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Under checks every block is one of its own, of the bytes asked for: compute-sanitizer, and the emulation by its
// pages, then know its end. The emulation needs no guard bytes.
constexpr bool guards_exact_ends = true;
constexpr std::size_t guard_bytes = emulated ? 0 : 64;

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE

#include "../csrc/memory_cache.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr int guard_pattern = 0xA5;

Storage* allocate_block(std::size_t bytes) {
#ifndef __CUDACC__
  emulate::hide_allocations(cache().checks);
#endif
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
#ifdef __CUDACC__
    cudaGetLastError();  // forgotten: a smaller request may succeed
#endif
    return nullptr;
  }
  check(error, "cudaMalloc");
  auto* storage = new Storage;
  storage->data = data;
  return storage;
}

bool free_block(Storage* storage) {
  const cudaError_t error = cudaFree(storage->data);  // waits for the kernels that use it
  delete storage;
  return !emulated || error == cudaSuccess;  // on a device an error here is an earlier kernel's, and comes up again
}

void set_bytes(void* to, int value, std::size_t bytes) {
  if (bytes == 0) return;
  require_no_recorder("bytes are set");
  const Turn turn;
  check(cudaMemsetAsync(to, value, bytes, turn.stream()), "cudaMemset");
}

void arm_guard(Storage* storage) {
  set_bytes(storage->data, 0xFF, storage->requested);
  set_bytes(static_cast<char*>(storage->data) + storage->requested, guard_pattern, guard_bytes);
}

bool guard_intact(const Storage* storage) {
  if constexpr (guard_bytes == 0) return true;  // free_block looks
  unsigned char guard[guard_bytes + 1];
  try {
    copy_to_host(guard, static_cast<const char*>(storage->data) + storage->requested, guard_bytes);
  } catch (const std::exception&) {
    return true;  // a kernel's fault comes to light where values are read; arrays are released without exceptions
  }
  for (std::size_t i = 0; i < guard_bytes; ++i)
    if (guard[i] != guard_pattern) return false;
  return true;
}

// A few bytes of the host's, which a graph holds as an argument.
struct Few {
  static constexpr Index most = 16;
  unsigned char byte[most];
};
__global__ void store_kernel(Few few, Index bytes, unsigned char* to) {
  for (Index i = global_thread(); i < bytes; i += global_threads()) to[i] = few.byte[i];
}

void copy(void* to, const void* from, Index bytes, cudaMemcpyKind kind) {
  if (bytes <= 0) return;
  if (recorder && kind == cudaMemcpyDeviceToDevice) return recorder->copy(to, from, static_cast<std::size_t>(bytes));
  if (recorder && kind == cudaMemcpyHostToDevice && bytes <= Few::most) {
    Few few{};
    std::memcpy(few.byte, from, static_cast<std::size_t>(bytes));
    return launch("store", store_kernel, Grid{dim3(1), dim3(32)}, few, bytes, static_cast<unsigned char*>(to));
  }
  require_no_recorder("the host's memory is read or written");
  const Turn turn;
  check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), kind, turn.stream()), "cudaMemcpy");
}

}  // namespace

bool is_host_memory() { return false; }

void copy_from_host(void* to, const void* host, Index bytes) { copy(to, host, bytes, cudaMemcpyHostToDevice); }

void copy_to_host(void* host, const void* from, Index bytes) {
  copy(host, from, bytes, cudaMemcpyDeviceToHost);
  synchronize();
}

void copy_within(void* to, const void* from, Index bytes) {
  const char *to_byte = static_cast<const char*>(to), *from_byte = static_cast<const char*>(from);
  if (to_byte == from_byte) return;
  if (to_byte + bytes <= from_byte || from_byte + bytes <= to_byte)
    return copy(to, from, bytes, cudaMemcpyDeviceToDevice);
  const Buffer<char> apart(bytes);  // cudaMemcpy leaves ranges that overlap undefined
  copy(apart.data(), from, bytes, cudaMemcpyDeviceToDevice);
  copy(to, apart.data(), bytes, cudaMemcpyDeviceToDevice);
}

}  // namespace dlcore::DLCORE_DEVICE
