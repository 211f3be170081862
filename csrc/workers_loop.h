// The loop in progress, and how its chunks are claimed: a part of workers.cpp alone, whose state it holds.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "workers.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// The loop in progress: the chunks left, from one number (12 bits) to another (12), places left for workers (8), and
// the loop's number (32), which keeps a late worker from taking a claim of another loop than it looked at.
alignas(64) std::atomic<std::uint64_t> state{0};
// A claim is this part of what is left: large ones first, as each costs a little, and single chunks last, so that all
// end at about the same time. Who reads that of another loop takes a claim of another size, which does no harm.
std::atomic<int> share{1};
constexpr int shares_of_worker = 4;
constexpr int end_shift = 12, places_shift = 24, number_shift = 32;
constexpr std::uint64_t one_end = std::uint64_t{1} << end_shift, one_place = std::uint64_t{1} << places_shift;

std::uint64_t first_left(std::uint64_t s) { return s & most_chunks; }
std::uint64_t end_left(std::uint64_t s) { return (s >> end_shift) & most_chunks; }
std::uint64_t chunks_left(std::uint64_t s) { return end_left(s) - first_left(s); }
std::uint64_t places_left(std::uint64_t s) { return (s >> places_shift) & most_helpers; }
std::uint32_t number_of(std::uint64_t s) { return static_cast<std::uint32_t>(s >> number_shift); }

// What the loop is. Written by the caller before `state` says that there is one, read by who holds a claim of it.
struct {
  int workers;
  bool all;  // wait for each other
  const void* context;
  Run run;
} loop;

// Who takes claims: of which loop, and as which worker; one that is none yet takes part in whatever loop there is.
struct Part {
  std::uint32_t loop_number = 0;
  int worker = -1;
};

// A claim of its holder's: chunks, none where nothing is left.
struct Claim {
  Index first, count;
};

// The caller takes from the front and workers from the back, so that each finds in its caches what it wrote there in
// the loop before. The loop goes on at least until the chunks of its claims have been finished.
Claim take(Part& part) {
  const bool joins = part.worker < 0, from_front = part.worker == 0;
  std::uint64_t seen = state.load(std::memory_order_acquire), count = 0, taken = 0;
  do {
    const std::uint64_t left = chunks_left(seen);
    if (left == 0 || (joins ? places_left(seen) == 0 : number_of(seen) != part.loop_number)) return {0, 0};
    count = std::max<std::uint64_t>(1, left / static_cast<std::uint64_t>(share.load(std::memory_order_relaxed)));
    taken = from_front ? seen + count : seen - count * one_end - (joins ? one_place : 0);
  } while (!state.compare_exchange_weak(seen, taken, std::memory_order_acq_rel, std::memory_order_acquire));
  if (joins) part = {number_of(seen), loop.workers - static_cast<int>(places_left(seen))};
  return {static_cast<Index>(from_front ? first_left(seen) : end_left(taken)), static_cast<Index>(count)};
}

// Says that there is a loop of so many chunks, once it is written; the caller's part in it.
Part publish(Index chunks) {
  share.store(shares_of_worker * loop.workers, std::memory_order_relaxed);
  const std::uint32_t number = number_of(state.load(std::memory_order_relaxed)) + 1;
  state.store(std::uint64_t{number} << number_shift | static_cast<std::uint64_t>(loop.workers - 1) * one_place |
                  static_cast<std::uint64_t>(chunks) * one_end,
              std::memory_order_release);
  return {number, 0};
}

Index chunks_left() { return static_cast<Index>(chunks_left(state.load(std::memory_order_relaxed))); }

// Whether a worker could take part.
bool is_open() {
  const std::uint64_t s = state.load(std::memory_order_acquire);
  return chunks_left(s) > 0 && places_left(s) > 0;
}

// For tests, by the holder of a claim: waits until all places are taken.
void await_all() {
  while (places_left(state.load(std::memory_order_acquire)) > 0) sched_yield();
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
