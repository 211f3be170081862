#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "workers.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

std::atomic<int> thread_count{0};  // 0: not decided yet
std::atomic<Index> team_count{0};
std::atomic<bool> forked{false};
std::atomic<bool> busy{false};  // one team at a time: a second caller runs serially rather than oversubscribe

// In the affinity mask.
int processors() {
  static const int n = [] {
#if defined(__linux__)
    cpu_set_t mask;  // of up to 1024 processors
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) return std::max(1, CPU_COUNT(&mask));
#endif
    return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  }();
  return n;
}

// A child has none of the workers, and whoever used them in its parent is not there to finish.
const int fork_handler = pthread_atfork(nullptr, nullptr, [] {
  forked = true;
  busy = false;
});

int workers_for(Index n, Index grain) {
  if (n <= grain || forked.load(std::memory_order_relaxed)) return 1;
  return static_cast<int>(
      std::min<Index>(std::min({num_threads(), 4 * processors(), most_helpers + 1}), ceil_div(n, grain)));
}

}  // namespace

int num_threads() {
  int n = thread_count.load(std::memory_order_relaxed);
  // Another thread may set it meanwhile: then that holds.
  if (n == 0 && thread_count.compare_exchange_strong(n, processors())) return processors();
  return n;
}

void set_num_threads(int n) { thread_count = n; }

Index teams_started() { return team_count.load(std::memory_order_relaxed); }

void set_full_teams(bool on) { demand_all_workers(on); }

Team::Team(Index n, Index grain, Index work) : n_(n), grain_(grain), work_(work), workers_(workers_for(n, grain)) {}

void Team::run(const void* context, RangeBody body, Index work) const {
  if (n_ <= 0) return;
  if (workers_ <= 1 || busy.exchange(true, std::memory_order_acquire)) return body(context, 0, n_, 0);
  team_count.fetch_add(1, std::memory_order_relaxed);
  if (begin_loop()) {
    // Chunks are claimed, not dealt: a worker that a shared core slows down takes fewer.
    const Index step = grain_ * ceil_div(ceil_div(n_, grain_), most_chunks);
    struct Loop {
      const void* context;
      RangeBody body;
      Index n, step;
    } const loop{context, body, n_, step};
    const auto run_claim = [](const void* given, Index first, Index count, int worker) {
      const Loop& all = *static_cast<const Loop*>(given);
      all.body(all.context, first * all.step, std::min(all.n, (first + count) * all.step), worker);
    };
    run_chunks(ceil_div(n_, step), workers_, {reinterpret_cast<const void*>(body), n_, grain_, work}, &loop, run_claim);
  } else {
    body(context, 0, n_, 0);
    end_loop();
  }
  busy.store(false, std::memory_order_release);
}

}  // namespace dlcore::DLCORE_DEVICE
