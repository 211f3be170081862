#include "memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "device.h"

namespace dlcore::DLCORE_DEVICE {

namespace {

constexpr std::size_t guard_bytes = 64;
constexpr bool guards_exact_ends = false;

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE

#include "memory_cache.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr int guard_pattern = 0xA5;
constexpr std::size_t huge_page = std::size_t{2} << 20;

Storage* allocate_block(std::size_t bytes) {
  const std::size_t total = sizeof(Storage) + bytes;
  void* block = nullptr;
  if (posix_memalign(&block, total >= huge_page ? huge_page : memory_alignment, total) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
  if (total >= huge_page) madvise(block, total, MADV_HUGEPAGE);  // fewer faults; a refusal costs nothing
#endif
  auto* storage = new (block) Storage;
  storage->data = storage + 1;
  return storage;
}

bool free_block(Storage* storage) {
  storage->~Storage();
  std::free(storage);
  return true;
}

void arm_guard(Storage* storage) {
  auto* bytes = static_cast<unsigned char*>(storage->data);
  std::memset(bytes, 0xFF, storage->requested);
  std::memset(bytes + storage->requested, guard_pattern, guard_bytes);
}

bool guard_intact(const Storage* storage) {
  const auto* guard = static_cast<const unsigned char*>(storage->data) + storage->requested;
  for (std::size_t i = 0; i < guard_bytes; ++i)
    if (guard[i] != guard_pattern) return false;
  return true;
}

}  // namespace

bool is_host_memory() { return true; }
void copy_from_host(void* to, const void* host, Index bytes) { copy_within(to, host, bytes); }
void copy_to_host(void* host, const void* from, Index bytes) { copy_within(host, from, bytes); }
void copy_within(void* to, const void* from, Index bytes) {
  if (bytes > 0) std::memmove(to, from, static_cast<std::size_t>(bytes));
}

std::string device_problem() { return ""; }
Place device_place() { return {1, 0}; }
std::uintptr_t stream_handle() { return 0; }
void issue_before(std::uintptr_t) {}
void issue_after(std::uintptr_t) {}
void wait_for_device() noexcept {}

bool makes_graphs() { return false; }
LaunchPrint print_of(const Launch&, Arena*, std::uint64_t) { return {}; }
void write_own(const Launch&, const LaunchPrint&, Arena*, void*) {}
std::unique_ptr<Graph> make_graph(const std::vector<GraphLaunch>&, Arena*, GraphReport*) { return nullptr; }
bool scales_in_graph(const double*) { return false; }
void report_figure(const double* figure, GraphReport* report) {
  reinterpret_cast<double*>(report + 1)[report->figures++] = *figure;
}

}  // namespace dlcore::DLCORE_DEVICE
