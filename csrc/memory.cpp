#include "memory.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "device.h"

namespace dlcore::DLCORE_DEVICE {

namespace {

// Four classes to a power of two, from 64 bytes: at most a quarter of a block is unused.
constexpr int class_count = 4 * 42;
constexpr std::size_t largest_request = std::size_t{1} << 46;
constexpr std::size_t guard_bytes = 64;
constexpr int guard_pattern = 0xA5;
constexpr std::size_t huge_page = std::size_t{2} << 20;
// What is held may pass the peak of what was in use by a quarter of it and this: room for blocks that a steady state
// needs at different times.
constexpr Index spare_bytes = Index{64} << 20;

int size_class_of(std::size_t bytes) {
  if (bytes <= memory_alignment) return 0;
  const int exponent = static_cast<int>(std::bit_width(bytes - 1)) - 1;  // 2^exponent < bytes <= 2^(exponent + 1)
  const std::size_t quarter = (std::size_t{1} << exponent) / 4;
  const auto step = static_cast<int>((bytes - (std::size_t{1} << exponent) + quarter - 1) / quarter);  // 1..4
  return 4 * (exponent - 6) + step;
}

std::size_t bytes_of_class(int size_class) {
  if (size_class == 0) return memory_alignment;
  const int exponent = 6 + (size_class - 1) / 4;
  const int step = (size_class - 1) % 4 + 1;
  return (std::size_t{1} << exponent) + (std::size_t{1} << exponent) / 4 * static_cast<std::size_t>(step);
}

struct Cache {
  std::mutex mutex;
  Storage* free_list[class_count] = {};  // linked through Storage::context
  MemoryStats stats{};
  Index peak = 0;  // of stats.in_use
  Index fail_after = -1;
  bool checks = false;
  Index violations = 0;
};

Cache& cache() {
  static Cache* instance = new Cache;  // never destroyed: arrays may outlive static destructors
  return *instance;
}

Storage* allocate_from_system(int size_class) {
  const std::size_t bytes = bytes_of_class(size_class);
  const std::size_t total = sizeof(Storage) + bytes;
  void* block = nullptr;
  if (posix_memalign(&block, total >= huge_page ? huge_page : memory_alignment, total) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
  if (total >= huge_page) madvise(block, total, MADV_HUGEPAGE);  // fewer faults; a refusal costs nothing
#endif
  auto* storage = new (block) Storage;
  storage->data = storage + 1;
  storage->bytes = bytes;
  storage->size_class = size_class;
  return storage;
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

// Frees cached blocks, the largest first, until at most `most` bytes of them are left.
void free_cached(Cache& c, Index most = 0) {
  for (int size_class = class_count - 1; size_class >= 0; --size_class) {
    Storage*& head = c.free_list[size_class];
    while (head && c.stats.cached > most) {
      Storage* next = static_cast<Storage*>(head->context);
      c.stats.cached -= static_cast<Index>(head->bytes);
      head->~Storage();
      std::free(head);
      head = next;
    }
  }
}

// Before a block of `bytes` is asked of the system: gives back what would make the cache grow without bound where
// sizes keep changing.
void make_room(Cache& c, Index bytes) {
  const Index needed = c.stats.in_use + bytes, peak = std::max(c.peak, needed);
  free_cached(c, std::max<Index>(0, peak + peak / 4 + spare_bytes - needed));
}

// A fork while another thread allocates must not leave the child's lock taken.
const int fork_handler =
    pthread_atfork([] { cache().mutex.lock(); }, [] { cache().mutex.unlock(); }, [] { cache().mutex.unlock(); });

thread_local Arena* thread_arena = nullptr;

void put(Storage** free_list, Storage* storage) {
  storage->context = free_list[storage->size_class];
  free_list[storage->size_class] = storage;
}

void keep(Cache& c, Storage* storage) {
  c.stats.in_use -= static_cast<Index>(storage->bytes);
  c.stats.cached += static_cast<Index>(storage->bytes);
  put(c.free_list, storage);
}

}  // namespace

// Guarded by the cache's mutex.
struct Arena {
  Storage* blocks = nullptr;             // all, linked through next_in_arena
  Storage* free_list[class_count] = {};  // the idle ones, linked through context
};

OutOfMemory::OutOfMemory(std::size_t bytes) noexcept {
  std::snprintf(message_, sizeof message_, "%zu bytes could not be allocated", bytes);
}

Storage* allocate_storage(std::size_t bytes) {
  if (bytes > largest_request) throw OutOfMemory(bytes);
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  const int size_class = size_class_of(c.checks ? bytes + guard_bytes : bytes);
  if (c.fail_after >= 0 && c.fail_after-- == 0) throw OutOfMemory(bytes);
  Arena* const arena = thread_arena;
  const auto take = [size_class](Storage** free_list) {
    Storage* first = free_list[size_class];
    if (!first) return first;
    free_list[size_class] = static_cast<Storage*>(first->context);
    first->context = nullptr;
    first->references.store(1, std::memory_order_relaxed);
    return first;
  };
  Storage* storage = arena ? take(arena->free_list) : nullptr;
  if (storage) {
    storage->idle = false;
    c.stats.in_use -= static_cast<Index>(storage->bytes);  // an arena's idle blocks count as in use
  } else if ((storage = take(c.free_list))) {
    c.stats.cached -= static_cast<Index>(storage->bytes);
  } else {
    make_room(c, static_cast<Index>(bytes_of_class(size_class)));
    storage = allocate_from_system(size_class);
    if (!storage) {  // what is cached may be what is missing
      free_cached(c);
      storage = allocate_from_system(size_class);
      if (!storage) throw OutOfMemory(bytes);
    }
    ++c.stats.system_allocations;
  }
  c.stats.in_use += static_cast<Index>(storage->bytes);
  c.peak = std::max(c.peak, c.stats.in_use);
  if (arena && !storage->arena) {
    storage->arena = arena;
    storage->next_in_arena = arena->blocks;
    arena->blocks = storage;
  }
  storage->requested = bytes;
  storage->guarded = c.checks;
  if (storage->guarded) arm_guard(storage);
  return storage;
}

Storage* adopt_storage(void* data, std::size_t bytes, void* context, void (*release_foreign)(void* context)) {
  auto* storage = new Storage;
  storage->data = data;
  storage->bytes = bytes;
  storage->context = context;
  storage->release_foreign = release_foreign;
  return storage;
}

void release_storage(Storage* storage) noexcept {
  if (storage->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (storage->size_class < 0) {
    storage->release_foreign(storage->context);
    delete storage;
    return;
  }
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  if (storage->guarded && !guard_intact(storage)) ++c.violations;
  if (storage->arena) {
    storage->idle = true;
    put(storage->arena->free_list, storage);
  } else {
    keep(c, storage);
  }
}

Arena* new_arena() { return new Arena; }

void release_arena(Arena* arena) noexcept {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  for (Storage *storage = arena->blocks, *next; storage; storage = next) {
    next = std::exchange(storage->next_in_arena, nullptr);
    storage->arena = nullptr;
    if (std::exchange(storage->idle, false)) keep(c, storage);
  }
  delete arena;
}

Arena* use_arena(Arena* arena) noexcept { return std::exchange(thread_arena, arena); }

Index blocks_in_use(const Arena* arena) {
  const std::lock_guard lock(cache().mutex);
  Index count = 0;
  for (const Storage* storage = arena->blocks; storage; storage = storage->next_in_arena) count += !storage->idle;
  return count;
}

Index bytes_of(const Arena* arena) {
  const std::lock_guard lock(cache().mutex);
  Index bytes = 0;
  for (const Storage* storage = arena->blocks; storage; storage = storage->next_in_arena)
    bytes += static_cast<Index>(storage->bytes);
  return bytes;
}

MemoryStats memory_stats() {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  return c.stats;
}

void release_cached_memory() noexcept {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  free_cached(c);
  c.peak = c.stats.in_use;
}

void set_allocation_checks(bool on) {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  c.checks = on;
}

Index guard_violations() {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  return c.violations;
}

void fail_allocation_after(Index n) {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  c.fail_after = n;
}

std::string device_problem() { return ""; }
Place device_place() { return {1, 0}; }
std::uintptr_t stream_handle() { return 0; }
void issue_before(std::uintptr_t) {}
void issue_after(std::uintptr_t) {}
void wait_for_device() noexcept {}

}  // namespace dlcore::DLCORE_DEVICE
