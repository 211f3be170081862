#include "parallel.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace dlcore::DLCORE_DEVICE {
namespace {

std::atomic<int> thread_count{0};  // 0: not decided yet
std::atomic<bool> forked{false};
std::atomic<bool> busy{false};  // one team at a time: a second caller runs serially rather than oversubscribe

int positive_from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (!text) return 0;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);  // OMP_NUM_THREADS may be a list: its first entry counts
  return end != text && value > 0 ? static_cast<int>(std::min(value, 1024L)) : 0;
}

int cgroup_quota() {
  std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r");
  if (!file) return 0;
  long quota = 0, period = 0;
  const int fields = std::fscanf(file, "%ld %ld", &quota, &period);  // "max 100000" reads no number
  std::fclose(file);
  return fields == 2 && quota > 0 && period > 0 ? static_cast<int>((quota + period - 1) / period) : 0;
}

int default_threads() {
  if (const int n = positive_from_environment("DLCORE_NUM_THREADS")) return n;
  if (const int n = positive_from_environment("OMP_NUM_THREADS")) return n;
  int n = omp_get_num_procs();  // honours the affinity mask
  if (const int quota = cgroup_quota()) n = std::min(n, quota);
  return std::max(n, 1);
}

// libgomp's team does not survive fork: a child that entered a parallel region would wait for threads it lacks.
const int fork_handler = pthread_atfork(nullptr, nullptr, [] {
  forked = true;
  busy = false;
});

}  // namespace

int num_threads() {
  int n = thread_count.load(std::memory_order_relaxed);
  if (n == 0) {
    n = default_threads();
    thread_count = n;
  }
  return n;
}

void set_num_threads(int n) { thread_count = n; }

int max_workers(Index n, Index grain) {
  if (n <= grain || forked.load(std::memory_order_relaxed)) return 1;
  return static_cast<int>(std::min<Index>(num_threads(), ceil_div(n, grain)));
}

void detail::run_parallel(Index n, Index grain, const void* context, RangeBody body) {
  if (n <= 0) return;
  const int workers = max_workers(n, grain);
  if (workers <= 1 || omp_in_parallel() || busy.exchange(true, std::memory_order_acquire)) {
    body(context, 0, n, 0);
    return;
  }
  const Index chunks = ceil_div(n, grain);
  std::atomic<Index> next{0};
#pragma omp parallel num_threads(workers)
  {
    const int worker = omp_get_thread_num();
    // Chunks are claimed, not dealt: a worker that a shared core slows down takes fewer. About eight claims a worker
    // keep the counter cheap.
    const Index step = std::max<Index>(1, chunks / (8 * workers));
    for (Index first; (first = next.fetch_add(step, std::memory_order_relaxed)) < chunks;)
      body(context, first * grain, std::min(n, (first + step) * grain), worker);
  }
  busy.store(false, std::memory_order_release);
}

}  // namespace dlcore::DLCORE_DEVICE
