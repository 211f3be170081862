// The one way to use several threads. Work is cut by shape, never by the number of threads, so every
// result has the same bits on any number of them.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// Threads a parallel_for may use: set_num_threads, else DLCORE_NUM_THREADS, else OMP_NUM_THREADS, else the
// processors this process may run on (affinity and cgroup quota).
int num_threads();
void set_num_threads(int n);

// How many workers a parallel_for of n items in chunks of `grain` can have; sizes per-worker workspaces.
int max_workers(Index n, Index grain);

namespace detail {
using RangeBody = void (*)(const void* context, Index begin, Index end, int worker);
void run_parallel(Index n, Index grain, const void* context, RangeBody body);
}  // namespace detail

// Calls body(begin, end, worker) on disjoint ranges that cover [0, n); each starts at a multiple of `grain`.
// Serial (one call over the whole range, worker 0) when n <= grain, with one thread, inside another parallel region,
// while another thread of the process has one, and in a forked child. The body must neither throw nor allocate.
template <typename Body> void parallel_for_workers(Index n, Index grain, const Body& body) {
  detail::run_parallel(n, grain, &body, [](const void* context, Index begin, Index end, int worker) {
    (*static_cast<const Body*>(context))(begin, end, worker);
  });
}

template <typename Body> void parallel_for(Index n, Index grain, const Body& body) {
  parallel_for_workers(n, grain, [&body](Index begin, Index end, int) { body(begin, end); });
}

// Elements of cheap element-wise work in one chunk: about 10 microseconds, several times a thread's wake-up.
inline constexpr Index elementwise_grain = 32768;

}  // namespace dlcore::DLCORE_DEVICE
