#include "parallel.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>

namespace dlcore::DLCORE_DEVICE {
namespace {

std::atomic<int> thread_count{0};  // 0: not decided yet
std::atomic<Index> team_count{0};
std::atomic<bool> forked{false};
std::atomic<bool> busy{false};  // one team at a time: a second caller runs serially rather than oversubscribe

int processors() {
  static const int n = std::max(1, omp_get_num_procs());  // in the affinity mask
  return n;
}

// libgomp's team does not survive fork: a child that entered a parallel region would wait for threads it lacks.
const int fork_handler = pthread_atfork(nullptr, nullptr, [] {
  forked = true;
  busy = false;
});

int workers_for(Index n, Index grain) {
  if (n <= grain || forked.load(std::memory_order_relaxed)) return 1;
  return static_cast<int>(std::min<Index>(std::min(num_threads(), 4 * processors()), ceil_div(n, grain)));
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

Team::Team(Index n, Index grain) : n_(n), grain_(grain), workers_(workers_for(n, grain)) {}

void Team::run(const void* context, RangeBody body) const {
  if (n_ <= 0) return;
  if (workers_ <= 1 || omp_in_parallel() || busy.exchange(true, std::memory_order_acquire)) {
    body(context, 0, n_, 0);
    return;
  }
  team_count.fetch_add(1, std::memory_order_relaxed);
  const Index chunks = ceil_div(n_, grain_);
  std::atomic<Index> next{0};
#pragma omp parallel num_threads(workers_)
  {
    const int worker = omp_get_thread_num();
    // Chunks are claimed, not dealt: a worker that a shared core slows down takes fewer. About eight claims a worker
    // keep the counter cheap.
    const Index step = std::max<Index>(1, chunks / (8 * workers_));
    for (Index first; (first = next.fetch_add(step, std::memory_order_relaxed)) < chunks;)
      body(context, first * grain_, std::min(n_, (first + step) * grain_), worker);
  }
  busy.store(false, std::memory_order_release);
}

}  // namespace dlcore::DLCORE_DEVICE
