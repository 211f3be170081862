// Races, which a GPU may lose and the emulation's order of threads need not show. GCC and Clang call these functions at
// each access where -fsanitize=thread is given; its own runtime library is not linked. Two threads' accesses of one
// word, not both reads or both atomic, must have a barrier between them: of the block, or __syncwarp within a warp
// (shuffles and votes order no memory). Between blocks of a launch there is none. Vectors must be aligned to their
// size.
#include "races.h"

#include <memory>
#include <unordered_map>

namespace dlcore::DLCORE_DEVICE::emulate {
namespace {

constexpr std::uintptr_t word = 4, page_words = 1024;
constexpr std::size_t most_pages = 4096;
constexpr std::uintptr_t stack_bytes = 128 << 10;  // a fiber's

struct Record {
  Actor actor{};
  std::uint8_t bytes = 0;  // of the word, a bit each; 0: no access yet
  bool atomic = false;
};
struct Cell {
  Record write, read, other_read;  // the last of each; other_read is by another thread than read
};
struct Page {
  Cell cells[page_words];
};

// The accesses of kernels that this thread of the processor runs. Records of earlier launches count as none.
struct Shadow {
  std::unordered_map<std::uintptr_t, std::unique_ptr<Page>> pages;
  std::uintptr_t last_number = 0;
  Page* last = nullptr;

  Cell& cell(std::uintptr_t address) {
    const std::uintptr_t number = address / word / page_words;
    if (!last || number != last_number) {
      if (pages.size() >= most_pages) pages.clear();
      std::unique_ptr<Page>& page = pages[number];
      if (!page) page = std::make_unique<Page>();
      last = page.get();
      last_number = number;
    }
    return last->cells[address / word % page_words];
  }
};
thread_local Shadow* shadow = nullptr;

// Whether nothing orders an earlier access before one of `now`.
bool unordered(const Record& before, std::uint8_t bytes, const Actor& now, bool shared) {
  const Actor& then = before.actor;
  if ((before.bytes & bytes) == 0 || then.launch != now.launch) return false;
  if (then.block != now.block) return !shared;
  if (then.thread == now.thread || then.barriers != now.barriers) return false;
  return then.warp != now.warp || then.warp_barriers == now.warp_barriers;
}

std::string named(const Actor& a) {
  return "thread " + std::to_string(a.thread) + " of block " + std::to_string(a.block);
}

void check(const Record& before, std::uint8_t bytes, const char* what, bool atomic, bool shared) {
  if (before.atomic && atomic) return;
  if (unordered(before, bytes, *actor, shared))
    report(std::string("a race in ") + (shared ? "shared" : "global") + " memory: " + named(*actor) + what +
           named(before.actor) + ", with no barrier between,");
}

void touch_word(std::uintptr_t address, std::uint8_t bytes, Access access, bool shared) {
  Cell& cell = shadow->cell(address);
  const bool atomic = access == Access::atomic;
  const Record now{*actor, bytes, atomic};
  if (access == Access::read) {
    check(cell.write, bytes, " reads what was written by ", false, shared);
    if (cell.read.actor.thread != now.actor.thread || cell.read.actor.block != now.actor.block)
      cell.other_read = cell.read;
    cell.read = now;
    return;
  }
  check(cell.write, bytes, " writes what was written by ", atomic, shared);
  check(cell.read, bytes, " writes what was read by ", false, shared);
  check(cell.other_read, bytes, " writes what was read by ", false, shared);
  cell.write = now;
}

thread_local int atomics = 0;

}  // namespace

void begin_atomic() { ++atomics; }
void end_atomic() { --atomics; }

void touch(const void* address, std::size_t bytes, Access access) {
  if (!actor || bytes == 0) return;
  const auto first = reinterpret_cast<std::uintptr_t>(address);
  if (first - reinterpret_cast<std::uintptr_t>(&first) < stack_bytes) return;  // of this thread alone
  if (!shadow) shadow = new Shadow;                                            // for the process's life: a testing tool
  if (atomics > 0) access = Access::atomic;
  const bool shared = in_shared_memory(first);
  for (std::uintptr_t at = first, end = first + bytes; at < end;) {
    const std::uintptr_t begin = at % word, stop = end - at + begin < word ? end - at + begin : word;
    touch_word(at - begin, static_cast<std::uint8_t>((1U << stop) - (1U << begin)), access, shared);
    at += stop - begin;
  }
}

namespace {
void touch_aligned(const void* address, std::size_t bytes, Access access) {
  if (actor && reinterpret_cast<std::uintptr_t>(address) % bytes != 0)
    report("an access of " + std::to_string(bytes) + " bytes that is not aligned to them, by " + named(*actor));
  touch(address, bytes, access);
}
}  // namespace

}  // namespace dlcore::DLCORE_DEVICE::emulate

// The functions that the compiler calls.
using dlcore::DLCORE_DEVICE::emulate::Access;
using dlcore::DLCORE_DEVICE::emulate::touch;
using dlcore::DLCORE_DEVICE::emulate::touch_aligned;
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_read1(void* p) { touch(p, 1, Access::read); }
void __tsan_write1(void* p) { touch(p, 1, Access::write); }
#define DLCORE_HOOKS(n)                                                 \
  void __tsan_read##n(void* p) { touch_aligned(p, n, Access::read); }   \
  void __tsan_write##n(void* p) { touch_aligned(p, n, Access::write); } \
  void __tsan_unaligned_read##n(void* p) { touch(p, n, Access::read); } \
  void __tsan_unaligned_write##n(void* p) { touch(p, n, Access::write); }
DLCORE_HOOKS(2)
DLCORE_HOOKS(4)
DLCORE_HOOKS(8)
DLCORE_HOOKS(16)
#undef DLCORE_HOOKS
void __tsan_read_range(void* p, std::size_t n) { touch(p, n, Access::read); }
void __tsan_write_range(void* p, std::size_t n) { touch(p, n, Access::write); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
// Of the guards of static variables, in host code.
std::int8_t __tsan_atomic8_load(const volatile std::int8_t* p, int) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
}
