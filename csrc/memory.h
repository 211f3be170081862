// A caching allocator: freed blocks are kept by size class and handed out again, so that a training step in a steady
// state asks nothing of the system and takes no page fault. In use and kept together stay within the largest use so far
// and a share of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <new>
#include <vector>

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
  int size_class = -1;        // -1: foreign memory; -2: not kept for reuse
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

// The borders of a device's memory; on a CPU all three are the same. A copy to the host waits for what was issued
// before; copy_within may be given ranges that overlap.
void copy_from_host(void* to, const void* host, Index bytes);
void copy_to_host(void* host, const void* from, Index bytes);
void copy_within(void* to, const void* from, Index bytes);
template <typename T> T value_at(const T* x, Index i = 0) {
  T value;
  copy_to_host(&value, x + i, sizeof value);
  return value;
}

bool is_host_memory();  // whether the host may follow a pointer to an array

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

// The elements of an array for the host to read: where they stand on a CPU, a copy of a device's.
template <typename T> class HostView {
 public:
  HostView(const T* x, Index n) : data_(x) {
    if (is_host_memory()) return;
    copy_ = std::vector<T>(static_cast<std::size_t>(n));
    copy_to_host(copy_.data(), x, n * static_cast<Index>(sizeof(T)));
    data_ = copy_.data();
  }
  HostView(const HostView&) = delete;
  HostView& operator=(const HostView&) = delete;
  const T& operator[](Index i) const { return data_[i]; }

 private:
  const T* data_;
  std::vector<T> copy_;
};

}  // namespace dlcore::DLCORE_DEVICE
