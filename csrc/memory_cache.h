// The caching allocator of memory.h but for the memory itself: included once in each device module, by the file that
// defines what it asks of the device.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <mutex>
#include <utility>

#include "graph.h"
#include "memory.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// --- Defined by the device ---

// A block with its Storage, `data` pointing to it, or null.
Storage* allocate_block(std::size_t bytes);
// False where the memory around the block was found overwritten.
bool free_block(Storage* storage);
// The block's 0xFF bytes, and the guard behind the bytes asked for.
void arm_guard(Storage* storage);
bool guard_intact(const Storage* storage);

// --- The same for all ---

constexpr int foreign_memory = -1, exact_size = -2;  // no size classes

// Four classes to a power of two, from 64 bytes: at most a quarter of a block is unused.
constexpr int class_count = 4 * 42;
constexpr std::size_t largest_request = std::size_t{1} << 46;
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

// Frees cached blocks, the largest first, until at most `most` bytes of them are left.
void free_cached(Cache& c, Index most = 0) {
  for (int size_class = class_count - 1; size_class >= 0; --size_class) {
    Storage*& head = c.free_list[size_class];
    while (head && c.stats.cached > most) {
      Storage* next = static_cast<Storage*>(head->context);
      c.stats.cached -= static_cast<Index>(head->bytes);
      free_block(head);
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
  // A block that is guarded at its exact end is not one of a class.
  const bool exact = c.checks && guards_exact_ends;
  const int size_class = exact ? exact_size : size_class_of(c.checks ? bytes + guard_bytes : bytes);
  const std::size_t block_bytes = exact ? bytes + guard_bytes : bytes_of_class(size_class);
  if (c.fail_after >= 0 && c.fail_after-- == 0) throw OutOfMemory(bytes);
  Arena* const arena = exact ? nullptr : thread_arena;
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
  } else if (!exact && (storage = take(c.free_list))) {
    c.stats.cached -= static_cast<Index>(storage->bytes);
  } else {
    make_room(c, static_cast<Index>(block_bytes));
    storage = allocate_block(block_bytes);
    if (!storage) {  // what is cached may be what is missing
      free_cached(c);
      storage = allocate_block(block_bytes);
      if (!storage) throw OutOfMemory(bytes);
    }
    storage->bytes = block_bytes;
    storage->size_class = size_class;
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
  if (storage->size_class == foreign_memory) {
    storage->release_foreign(storage->context);
    delete storage;
    return;
  }
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  if (storage->guarded && !guard_intact(storage)) ++c.violations;
  if (storage->size_class == exact_size) {
    c.stats.in_use -= static_cast<Index>(storage->bytes);
    if (!free_block(storage)) ++c.violations;
  } else if (storage->arena) {
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

bool allocations_are_checked() {
  Cache& c = cache();
  const std::lock_guard lock(c.mutex);
  return c.checks;
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

}  // namespace dlcore::DLCORE_DEVICE
