// Threads that help the caller of a loop, and the rules by which they do so only where it pays.
//
// A loop is a number of chunks. The caller publishes it and works on it at once; workers that are awake, or wake up in
// time, claim parts of what is left: the caller from the front, workers from the back, so that in the next loop over
// the same arrays most of them are in the caches where they are needed. The caller waits for claims that somebody has
// made, never for a worker to arrive: one that finds its processor taken costs nothing.
//
// Waking a worker takes the caller a few microseconds, and the worker far longer. So sleeping ones are called only to
// loops that are long, or follow each other closely, and ever more seldom while none comes in time; after a loop a
// worker stays awake for the time in which the next one is likely.
//
// A worker that loses its processor within a claim holds the caller up. Where others want the processor, it therefore
// gives it up between two claims, before its turn ends. What helpers have saved and what they have cost, the turns that
// the caller lost among it, is kept as an account: where they do not pay, loops are left to their callers, for a time
// that grows until helpers pay again.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

using Run = void (*)(const void* context, Index first, Index count, int worker);

inline constexpr Index most_chunks = (Index{1} << 12) - 1;
inline constexpr int most_helpers = (1 << 8) - 1;  // workers besides the caller

// Where in the program a loop is, and its sizes: chunks of loops that are equal in this are taken for equally long.
struct Place {
  const void* body;
  Index n, grain, work;
  bool operator==(const Place&) const = default;
};

// One caller at a time may use these. begin_loop says that a loop begins, and whether workers are likely to shorten it;
// then run_chunks may be called. end_loop says that it has ended.
bool begin_loop();
void end_loop();

// Calls run(context, first, count, worker) for claims of `count` chunks from `first` on that together are [0, chunks),
// worker 0 being the caller, at most `workers` of them at once. Neither throws nor allocates.
void run_chunks(Index chunks, int workers, Place place, const void* context, Run run);

// For tests: every worker that a loop may use takes part in it, whatever that costs.
void demand_all_workers(bool on);

}  // namespace dlcore::DLCORE_DEVICE
