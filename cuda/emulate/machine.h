// The machine that runs a kernel's blocks, for the parts of the emulation: emulate.cpp its threads, copies.cpp its
// shared memory and cp.async.
#pragma once

#include <setjmp.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "emulate.h"
#include "fiber.h"
#include "races.h"

namespace dlcore::DLCORE_DEVICE::emulate {

inline constexpr unsigned warp_size = 32;
inline constexpr std::size_t most_shared = 99 << 10;  // bytes of a block on sm_120, the least of those built for
inline constexpr std::size_t most_static = 48 << 10;  // of them without a request at run time
inline constexpr std::size_t shared_gap = 64;

enum class State { ready, at_block_barrier, at_warp_barrier, done };

struct AsyncCopy {
  void* to;
  const void* from;
  int bytes, valid, group;
};

struct Thread {
  Place place;
  Actor actor;
  State state;
  unsigned warp, lane;
  unsigned collectives;  // passed so far: even and odd ones use different slots
  unsigned mask;         // of the collective waited for
  bool orders_memory;    // which is __syncwarp
  int group;             // of cp.async copies, being filled
  std::vector<AsyncCopy> copies;
  Fiber fiber;
};

struct Warp {
  unsigned arrived = 0;  // lanes at the collective
  alignas(64) unsigned char slots[2][warp_size][lane_stride];
};

struct SharedArray {
  const void* tag;
  std::size_t offset, bytes;
};

// One for each thread of the processor that launches; kept, so that stacks are not mapped anew.
struct Machine {
  std::vector<Thread> pool;
  std::span<Thread> threads;  // those of the block
  std::vector<Warp> warps;
  std::vector<SharedArray> arrays;
  alignas(64) unsigned char shared[2 * most_shared];
  std::size_t dynamic_bytes = 0;
  std::size_t shared_used = sizeof shared;  // since `shared` was last filled
  Fiber scheduler;
  const void* context = nullptr;
  void (*body)(const void*) = nullptr;
  const char* name = nullptr;
  Thread* current = nullptr;
  bool immediate_copies = false;
  std::uint64_t random = 0;
  std::uint32_t launch = 0;
  std::string misdeed;  // the first, where races are watched
  sigjmp_buf fault;
};
// This thread's; null before its first launch.
inline thread_local Machine* machine = nullptr;

}  // namespace dlcore::DLCORE_DEVICE::emulate
