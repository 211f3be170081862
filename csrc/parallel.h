// The one way to use several threads. Work is cut by shape, never by the number of threads, so every
// result has the same bits on any number of them.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// Threads a parallel_for may use: set_num_threads, else the processors in this process's affinity mask. The package
// sets it at import (device.py).
int num_threads();
void set_num_threads(int n);

// Teams of more than one thread started so far.
Index teams_started();

// For tests: every worker of a team takes part in its loops, also where that does not pay.
void set_full_teams(bool on);

// The workers for a loop over n items in chunks of `grain`, their number decided once: what is sized by workers() stays
// large enough while set_num_threads is called in another thread. One worker when n <= grain, with one thread, and in a
// forked child; never more than four for each processor, however many were asked for. May run several loops over the
// same n and grain. `work` is that of an item, in any unit, where the grain does not tell how long a chunk takes.
class Team {
 public:
  Team(Index n, Index grain, Index work = 0);
  int workers() const { return workers_; }

  // Calls body(begin, end, worker) on disjoint ranges that cover [0, n); each starts at a multiple of `grain`.
  // worker < workers(). Serial (one call over the whole range, worker 0) with one worker, inside another parallel
  // region, and while another thread of the process has one. The body must neither throw nor allocate.
  template <typename Body> void run(const Body& body) const { run(work_, body); }
  // The same where items of this loop have other work than those of the others.
  template <typename Body> void run(Index work, const Body& body) const {
    const auto call = [](const void* context, Index begin, Index end, int worker) {
      (*static_cast<const Body*>(context))(begin, end, worker);
    };
    run(&body, call, work);
  }

 private:
  using RangeBody = void (*)(const void* context, Index begin, Index end, int worker);
  void run(const void* context, RangeBody body, Index work) const;

  Index n_, grain_, work_;
  int workers_;
};

template <typename Body> void parallel_for(Index n, Index grain, const Body& body) {
  Team(n, grain).run([&body](Index begin, Index end, int) { body(begin, end); });
}

// Elements of cheap element-wise work in one chunk: about 10 microseconds, several times a thread's wake-up.
inline constexpr Index elementwise_grain = 32768;

}  // namespace dlcore::DLCORE_DEVICE
