#include "runtime.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <mutex>
#include <vector>

namespace dlcore::DLCORE_DEVICE {
namespace {

using emulate::alignment;

// Each allocation ends at a page that cannot be touched.

struct Allocation {
  char* pages;  // first page; one that cannot be touched lies before it and one behind
  std::size_t page_bytes;
  char* data;
  std::size_t bytes;
  bool hidden;  // while no kernel runs
};

struct DeviceMemory {
  std::mutex mutex;
  std::vector<Allocation> allocations;  // the latest last
  int open = 0;                         // kernels and copies that run now
  bool hide = false;
};
DeviceMemory& memory() {
  static DeviceMemory* instance = new DeviceMemory;  // never destroyed: arrays may outlive static destructors
  return *instance;
}

void change(int step, int when, int protection) {
  DeviceMemory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (m.open == when)
    for (const Allocation& a : m.allocations)
      if (a.hidden) mprotect(a.pages, a.page_bytes, protection);
  m.open += step;
}

}  // namespace

namespace emulate {

Opened::Opened() { change(+1, 0, PROT_READ | PROT_WRITE); }
Opened::~Opened() { change(-1, 1, PROT_NONE); }

void hide_allocations(bool on) {
  static const bool always = std::getenv("DLCORE_CUDA_HOST_HIDE") != nullptr;
  const std::lock_guard lock(memory().mutex);
  memory().hide = on || always;
}

}  // namespace emulate

using emulate::Opened;

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
  }
  return "unrecognized error code";
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
  }
  return "unrecognized error code";
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t used = (bytes + alignment - 1) / alignment * alignment;
  const std::size_t page_bytes = std::max<std::size_t>(1, (used + page - 1) / page) * page;
  void* reserved = mmap(nullptr, page_bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return cudaErrorMemoryAllocation;
  char* pages = static_cast<char*>(reserved) + page;
  DeviceMemory& m = memory();
  const std::lock_guard lock(m.mutex);
  mprotect(pages, page_bytes, PROT_READ | PROT_WRITE);
  std::memset(pages, 0xFF, page_bytes);
  char* data = pages + page_bytes - used;
  m.allocations.push_back({pages, page_bytes, data, bytes, m.hide});
  if (m.hide && m.open == 0) mprotect(pages, page_bytes, PROT_NONE);
  *pointer = data;
  return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  if (!pointer) return cudaSuccess;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  DeviceMemory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto found = std::find_if(m.allocations.rbegin(), m.allocations.rend(),
                                  [&](const Allocation& a) { return a.data == pointer; });
  if (found == m.allocations.rend()) return cudaErrorInvalidValue;
  const Allocation a = *found;
  m.allocations.erase(std::next(found).base());
  mprotect(a.pages, a.page_bytes, PROT_READ | PROT_WRITE);
  const auto untouched = [](const char* begin, const char* end) {
    return std::all_of(begin, end, [](char c) { return c == '\xFF'; });
  };
  const bool intact = untouched(a.pages, a.data) && untouched(a.data + a.bytes, a.pages + a.page_bytes);
  munmap(a.pages - page, a.page_bytes + 2 * page);
  return intact ? cudaSuccess : cudaErrorIllegalAddress;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  const Opened opened;
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
  const Opened opened;
  std::memset(to, value, bytes);
  return cudaSuccess;
}

}  // namespace dlcore::DLCORE_DEVICE
