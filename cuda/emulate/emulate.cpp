// Launches: the threads of each block as fibers, with their barriers.
#include "emulate.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "fault.h"
#include "machine.h"
#include "runtime.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

using emulate::alignment;
using emulate::Machine;
using emulate::machine;
using emulate::Opened;
using emulate::Place;
using emulate::shared_gap;
using emulate::SharedArray;
using emulate::State;
using emulate::Thread;
using emulate::Warp;
using emulate::warp_size;

constexpr unsigned most_threads = 1024;

std::atomic<int> order{1};
std::atomic<Index> launch_count{0};

[[noreturn]] void fail(const Machine& m, const std::string& what) {
  std::string where;
  if (m.current) {
    const Place& p = m.current->place;
    const auto triple = [](unsigned x, unsigned y, unsigned z) {
      return "(" + std::to_string(x) + ", " + std::to_string(y) + ", " + std::to_string(z) + ")";
    };
    where = " in thread " + triple(p.thread.x, p.thread.y, p.thread.z) + " of block " +
            triple(p.block.x, p.block.y, p.block.z);
  }
  throw std::runtime_error(std::string(m.name) + ": " + what + where);
}

void fiber_main() {
  for (;;) {
    machine->body(machine->context);
    machine->current->state = State::done;
    machine->current->fiber.switch_to(machine->scheduler);
  }
}

void wait_as(State state) {
  Thread* self = machine->current;
  self->state = state;
  self->fiber.switch_to(machine->scheduler);
}

void permute(std::vector<unsigned>& sequence, int how, std::uint64_t& random) {
  if (how == 1) return;
  if (how == 2) return std::reverse(sequence.begin(), sequence.end());
  for (std::size_t i = sequence.size(); i > 1; --i) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    std::swap(sequence[i - 1], sequence[(random >> 33) % i]);
  }
}

void resume(Machine& m, Thread& thread) {
  m.current = &thread;
  emulate::place = &thread.place;
  emulate::actor = &thread.actor;
  m.scheduler.switch_to(thread.fiber);
  emulate::actor = nullptr;
}

// Lets a warp's lanes go on once all that the collective of the one that came last names are there.
void release_warp(Machine& m, const Thread& last) {
  const unsigned mask = last.mask;
  Warp& warp = m.warps[last.warp];
  if ((warp.arrived & mask) != mask) return;
  const std::size_t first = std::size_t{last.warp} * warp_size;
  for (std::size_t j = first; j < std::min(first + warp_size, m.threads.size()); ++j) {
    if ((mask >> (j - first) & 1) == 0) continue;
    if (m.threads[j].mask != mask) fail(m, "lanes of a warp name different masks in one collective");
    m.threads[j].state = State::ready;
    m.threads[j].actor.warp_barriers += m.threads[j].orders_memory;
  }
  warp.arrived &= ~mask;
}

void run_threads(Machine& m, int how) {
  std::vector<unsigned> sequence(m.threads.size());
  std::iota(sequence.begin(), sequence.end(), 0U);
  if (how == 2) permute(sequence, how, m.random);
  for (;;) {
    if (how > 2) permute(sequence, how, m.random);
    bool progress = false;
    std::size_t waiting = 0, done = 0;
    for (const unsigned i : sequence) {
      Thread& thread = m.threads[i];
      if (thread.state == State::ready) {
        progress = true;
        resume(m, thread);
        if (thread.state == State::at_warp_barrier) release_warp(m, thread);
      }
    }
    for (const Thread& thread : m.threads) {
      waiting += thread.state == State::at_block_barrier;
      done += thread.state == State::done;
    }
    if (done == m.threads.size()) return;
    if (waiting == m.threads.size()) {
      for (Thread& thread : m.threads) {
        thread.state = State::ready;
        ++thread.actor.barriers;
      }
    } else if (!progress) {
      for (Thread& thread : m.threads)
        if (thread.state == State::at_warp_barrier) {
          m.current = &thread;
          fail(m, "a collective of a warp waits for lanes that do not come,");
        }
      for (Thread& thread : m.threads)
        if (thread.state == State::at_block_barrier) m.current = &thread;
      fail(m, "a barrier that only " + std::to_string(waiting) + " of " + std::to_string(m.threads.size()) +
                  " threads reach,");
    }
  }
}

void check_shared_gaps(Machine& m) {
  m.current = nullptr;
  const auto intact = [&](std::size_t begin) {
    return std::all_of(m.shared + begin, m.shared + begin + shared_gap, [](unsigned char c) { return c == 0xFF; });
  };
  if (!intact(round_up(static_cast<Index>(m.dynamic_bytes), alignment)))
    fail(m, "a write behind the end of dynamic shared memory");
  for (const SharedArray& a : m.arrays)
    if (!intact(a.offset + a.bytes)) fail(m, "a write behind the end of a shared array");
}

void run_block(Machine& m, uint3 block, dim3 block_size, dim3 grid_size, int how) {
  std::memset(m.shared, 0xFF, m.shared_used);
  m.arrays.clear();
  unsigned i = 0;
  for (unsigned z = 0; z < block_size.z; ++z)
    for (unsigned y = 0; y < block_size.y; ++y)
      for (unsigned x = 0; x < block_size.x; ++x, ++i) {
        Thread& thread = m.threads[i];
        thread.place = {{x, y, z}, block, block_size, grid_size};
        thread.actor = {m.launch, (block.z * grid_size.y + block.y) * grid_size.x + block.x, i, i / warp_size, 0, 0};
        thread.state = State::ready;
        thread.collectives = thread.mask = 0;
        thread.group = 0;
        thread.copies.clear();
      }
  for (Warp& warp : m.warps) warp.arrived = 0;
  run_threads(m, how);
  for (Thread& thread : m.threads)
    if (!thread.copies.empty()) {
      m.current = &thread;
      fail(m, "the kernel ends before its cp.async copies are waited for,");
    }
  check_shared_gaps(m);
}

// A stray access within a kernel: the fibers are given up.
void give_up_kernel() {
  if (machine && machine->current) siglongjmp(machine->fault, 1);
}

Machine& this_machine() {
  if (!machine) machine = new Machine;  // one for each thread, for the process's life: a testing tool
  return *machine;
}

}  // namespace

namespace emulate {

thread_local const Place* place = nullptr;
thread_local const Actor* actor = nullptr;

void report(const std::string& what) {
  if (machine->misdeed.empty()) machine->misdeed = what;
}

void set_order(int threads) { order = threads; }
Index launches() { return launch_count; }

void run(const char* name, dim3 grid, dim3 block, std::size_t shared_bytes, const void* context,
         void (*body)(const void* context)) {
  Machine& m = this_machine();
  m.name = name;
  m.current = nullptr;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  if (threads == 0 || threads > most_threads || block.z > 64 || blocks == 0 || grid.x > 0x7fffffffU ||
      grid.y > 0xffffU || grid.z > 0xffffU || shared_bytes > most_shared)
    fail(m, cudaGetErrorString(cudaErrorInvalidConfiguration));
  if (threads * blocks > 1) ++launch_count;
  const int how = order;
  m.context = context;
  m.body = body;
  m.dynamic_bytes = shared_bytes;
  std::memset(m.shared, 0xFF, sizeof m.shared);
  m.shared_used = shared_bytes + 2 * shared_gap;
  m.immediate_copies = how != 1;
  m.random = 1;
  if (m.pool.size() < threads) m.pool.resize(threads);
  m.threads = std::span(m.pool.data(), threads);
  m.warps.resize((threads + warp_size - 1) / warp_size);
  for (unsigned i = 0; i < threads; ++i) {
    m.threads[i].warp = i / warp_size;
    m.threads[i].lane = i % warp_size;
    m.threads[i].fiber.start(fiber_main);
  }
  std::vector<unsigned> sequence(blocks);
  std::iota(sequence.begin(), sequence.end(), 0U);
  permute(sequence, how, m.random);
  const Opened opened;
  const FaultHandler handler(give_up_kernel);
  ++m.launch;
  m.misdeed.clear();
  if (sigsetjmp(m.fault, 0) != 0) {
    actor = nullptr;
    fail(m, m.misdeed.empty() ? cudaGetErrorString(cudaErrorIllegalAddress) : m.misdeed);
  }
  for (const unsigned i : sequence)
    run_block(m, {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y}, block, grid, how);
  m.current = nullptr;
  if (!m.misdeed.empty()) fail(m, m.misdeed);
}

void block_barrier() { wait_as(State::at_block_barrier); }

int lane() { return static_cast<int>(machine->current->lane); }

void warp_barrier(unsigned mask, bool orders_memory) {
  Thread& self = *machine->current;
  self.orders_memory = orders_memory;
  // Lanes that the last, short warp does not have take no part.
  const std::size_t lanes = std::min<std::size_t>(warp_size, machine->threads.size() - self.warp * warp_size);
  if (lanes < warp_size) mask &= (1U << lanes) - 1;
  self.mask = mask;
  ++self.collectives;
  machine->warps[self.warp].arrived |= mask & 1U << self.lane;  // one that names others only waits for ever: reported
  wait_as(State::at_warp_barrier);
}

const unsigned char* gather(unsigned mask, const void* value, std::size_t bytes) {
  Thread& self = *machine->current;
  Warp& warp = machine->warps[self.warp];
  auto& slots = warp.slots[self.collectives & 1];
  std::memcpy(slots[self.lane], value, bytes);
  warp_barrier(mask, false);
  return slots[0];
}

}  // namespace emulate

}  // namespace dlcore::DLCORE_DEVICE
