// A caching allocator: freed blocks are kept by size class and handed out again, so that a training step in a steady
// state asks nothing of the system and takes no page fault. In use and kept together stay within the largest use so far
// and a share of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <new>

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

inline constexpr std::size_t memory_alignment = 64;

// A reference-counted block. For memory of ours the block follows the header; for foreign memory (DLPack)
// `release_foreign` gives it back.
struct Arena;
struct alignas(memory_alignment) Storage {
  std::atomic<Index> references{1};
  void* data = nullptr;
  std::size_t bytes = 0;      // of the block
  std::size_t requested = 0;  // of them asked for
  int size_class = -1;        // -1: foreign memory
  bool guarded = false;
  void* context = nullptr;
  void (*release_foreign)(void* context) = nullptr;
  Arena* arena = nullptr;            // that the block belongs to, with
  Storage* next_in_arena = nullptr;  // the arena's other blocks, and
  bool idle = false;                 // whether nothing refers to it
};

// What Python sees as MemoryError.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::size_t bytes) noexcept;
  const char* what() const noexcept override { return message_; }

 private:
  char message_[64];
};

Storage* allocate_storage(std::size_t bytes);  // throws OutOfMemory
Storage* adopt_storage(void* data, std::size_t bytes, void* context, void (*release_foreign)(void* context));
void release_storage(Storage* storage) noexcept;  // drops one reference

// The blocks that a recording takes (see bind/plan.h): freed ones are reused within the recording alone and then kept,
// so that a replay finds every block where the recording had it. While an arena is a thread's, its allocations come
// from it.
Arena* new_arena();
void release_arena(Arena* arena) noexcept;  // blocks still referred to become ordinary ones
Arena* use_arena(Arena* arena) noexcept;    // by this thread from now on (null: none); returns the one before
Index blocks_in_use(const Arena* arena);    // how many blocks something refers to
Index bytes_of(const Arena* arena);         // of all its blocks

struct MemoryStats {
  Index in_use;              // bytes handed out now
  Index cached;              // bytes kept for reuse
  Index system_allocations;  // requests to the system since the start
};
MemoryStats memory_stats();
void release_cached_memory() noexcept;  // and starts to measure the largest use anew

// Testing: while on, new blocks are filled with 0xFF bytes (NaN) and carry guard bytes behind the bytes asked for,
// looked at when the block is released. guard_violations counts the blocks found overwritten.
void set_allocation_checks(bool on);
Index guard_violations();

// Testing: the n-th allocation from now throws OutOfMemory, once; negative: never.
void fail_allocation_after(Index n);

// Scratch of `count` elements, from the same cache.
template <typename T> class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Index count) : storage_(allocate_storage(bytes_of(count))) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept : storage_(other.storage_) { other.storage_ = nullptr; }
  Buffer& operator=(Buffer&& other) noexcept {
    Storage* mine = storage_;
    storage_ = other.storage_;
    other.storage_ = mine;
    return *this;
  }
  ~Buffer() {
    if (storage_) release_storage(storage_);
  }
  T* data() const { return storage_ ? static_cast<T*>(storage_->data) : nullptr; }

 private:
  // A count that was negative or is too large becomes a request that is refused.
  static std::size_t bytes_of(Index count) {
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
    const auto n = static_cast<std::size_t>(count);
    return n > most / sizeof(T) ? most : n * sizeof(T);
  }

  Storage* storage_ = nullptr;
};

}  // namespace dlcore::DLCORE_DEVICE
