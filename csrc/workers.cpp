#include "workers.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#if defined(__linux__)
#include <sys/resource.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "workers_account.h"
#include "workers_loop.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Measured on two virtual Zen 3 processors: waking a thread took its caller 3 to 5 microseconds, the thread 50 to 200.
// A process that shares a processor gets turns of about 3 milliseconds.
constexpr Nanoseconds wake_up = 100 * microsecond;        // what is left of a loop must be longer than this
constexpr Nanoseconds close = 200 * microsecond;          // from one loop to the next: worth staying awake
constexpr Nanoseconds lost_processor = 50 * microsecond;  // a waiting loop's turn that took so long was interrupted
constexpr Nanoseconds longest_turn = millisecond;         // of a worker on a processor that others want
constexpr Nanoseconds longest_pause = 10 * millisecond;

Nanoseconds now() { return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int processor() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

alignas(64) std::atomic<int> finished{0};  // chunks of workers
std::atomic<int> calls{0};                 // what sleeping workers wait on
std::atomic<int> asleep{0};
std::atomic<int> caller_processor{-1};
std::atomic<bool> stay_awake{false};
std::atomic<bool> all_demanded{false};

// Of the caller, and so of one thread at a time.
int started = 0, most_started = most_helpers;
Nanoseconds loop_begin = 0, last_end = 0;

Account account;

// When workers may be called again: ever later while nobody answers.
Nanoseconds next_call = 0, call_pause = wake_up;

// How often another thread has taken this one's processor.
long interruptions() {
#if defined(__linux__)
  rusage usage;
  if (getrusage(RUSAGE_THREAD, &usage) == 0) return usage.ru_nivcsw;
#endif
  return 0;
}

// A worker's time on its processor. Where others want it too, the worker gives it up between two claims before the
// system takes it away within one, for which the caller would have to wait.
class Turn {
 public:
  void begin() { begin_ = now(); }
  void give_way() {
    if (now() - begin_ < longest_turn) return;
    if (const long interrupted = interruptions(); interrupted != interruptions_) {
      interruptions_ = interrupted;
      contested_ = true;
    } else if (contested_) {
      const Nanoseconds time = now();
      sched_yield();
      contested_ = now() - time > lost_processor;
    }
    begin();
  }

 private:
  Nanoseconds begin_ = 0;
  long interruptions_ = 0;
  bool contested_ = false;
};

// Helps with the loop in progress, if there is one with a place left.
bool help(Turn& turn) {
  Part part;
  Claim claim = take(part);
  if (claim.count == 0) return false;
  if (loop.all) await_all();
  for (; claim.count > 0; claim = take(part)) {
    loop.run(loop.context, claim.first, claim.count, part.worker);
    // From here on the caller may be gone.
    finished.fetch_add(static_cast<int>(claim.count), std::memory_order_acq_rel);
    finished.notify_one();
    turn.give_way();
  }
  return true;
}

// A worker on the caller's processor would only take its time.
bool is_in_the_way() {
  const int here = processor();
  return here >= 0 && here == caller_processor.load(std::memory_order_relaxed) &&
         !all_demanded.load(std::memory_order_relaxed);
}

// To another processor. The system would wake a worker where it slept, on the caller's again, as long as all are busy.
void move_away() {
#if defined(__linux__)
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return;
  cpu_set_t others = usable;
  CPU_CLR(caller_processor.load(std::memory_order_relaxed), &others);
  if (CPU_COUNT(&others) == 0) return;
  sched_setaffinity(0, sizeof others, &others);
  sched_setaffinity(0, sizeof usable, &usable);
#endif
}

// Waits a little for the next loop; false when a worker had better sleep.
bool comes_soon() {
  if (!stay_awake.load(std::memory_order_relaxed)) return false;
  const Nanoseconds begin = now();
  for (Nanoseconds last = begin; last - begin < close;) {
    for (int i = 0; i < 16; ++i) {
      if (is_open()) return true;
      pause();
    }
    const Nanoseconds time = now();
    if (time - last > lost_processor || is_in_the_way()) return false;
    last = time;
  }
  return false;
}

void* serve(void*) {
  Turn turn;
  for (;;) {
    turn.begin();
    const int heard = calls.load(std::memory_order_acquire);
    if (is_in_the_way()) move_away();
    while (!is_in_the_way() && (help(turn) || comes_soon())) {}
    asleep.fetch_add(1, std::memory_order_relaxed);
    calls.wait(heard, std::memory_order_acquire);
    asleep.fetch_sub(1, std::memory_order_relaxed);
  }
}

// Starts workers until there are so many; fewer where the system refuses one.
void start(int wanted) {
  wanted = std::min(wanted, most_started);
  if (started >= wanted) return;
  sigset_t all, before;
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the threads of the program
  for (; started < wanted; ++started) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, serve, nullptr) != 0) {
      most_started = started;
      break;
    }
    pthread_detach(thread);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Wakes so many workers, where so many sleep.
void call(int wanted) {
  calls.fetch_add(1, std::memory_order_acq_rel);
  if (all_demanded.load(std::memory_order_relaxed) || asleep.load(std::memory_order_relaxed) <= wanted) {
    calls.notify_all();
  } else {
    for (int i = 0; i < wanted; ++i) calls.notify_one();
  }
}

// Until the workers have finished so many chunks: awake for about the time of another claim, then asleep.
void await(int chunks, Nanoseconds claim_time) {
  int done = finished.load(std::memory_order_acquire);
  if (done == chunks) return;
  const Nanoseconds end = now() + std::min(2 * claim_time + 10 * microsecond, millisecond);
  do {
    for (int i = 0; i < 16 && done != chunks; ++i, done = finished.load(std::memory_order_acquire)) pause();
  } while (done != chunks && now() < end);
  for (; done != chunks; done = finished.load(std::memory_order_acquire)) finished.wait(done);
}

}  // namespace

bool begin_loop() {
  loop_begin = now();
  return !account.is_resting() || all_demanded.load(std::memory_order_relaxed);
}

void end_loop() {
  last_end = now();
  account.pass(last_end - loop_begin);
}

void run_chunks(Index chunks, int workers, Place place, const void* context, Run run) {
  const bool all = all_demanded.load(std::memory_order_relaxed), follows = loop_begin - last_end < close;
  if (all) {
    start(workers - 1);
    workers = std::min(workers, started + 1);
  }
  Site& site = site_of(place);
  stay_awake.store(follows, std::memory_order_relaxed);
  caller_processor.store(processor(), std::memory_order_relaxed);
  finished.store(0, std::memory_order_relaxed);
  loop = {workers, all, context, run};
  Part part = publish(chunks);

  Nanoseconds calling = 0;
  const auto call_workers = [&] {
    start(workers - 1);
    const Nanoseconds time = now();
    if (!all && (asleep.load(std::memory_order_relaxed) == 0 || time < next_call)) return;
    call(workers - 1);
    calling = now() - time;
    next_call = time + call_pause;
    call_pause = std::min(2 * call_pause, longest_pause);
  };
  bool called = follows || all || chunks * site.chunk > wake_up;
  if (called) call_workers();
  Index own = 0;
  for (Claim claim; (claim = take(part)).count > 0;) {
    if (all) await_all();
    run(context, claim.first, claim.count, 0);
    own += claim.count;
    if (called) continue;
    called = (now() - loop_begin) / own * chunks_left() > wake_up;
    if (called) call_workers();
  }
  const Nanoseconds end = now(), chunk_time = own > 0 ? (end - loop_begin - calling) / own : 0;
  await(static_cast<int>(chunks - own), chunk_time);
  end_loop();

  if (own > 0) site.learn(chunk_time);
  if (own < chunks) call_pause = wake_up;
  if (!all) account.book(saved({chunks, own, end - loop_begin - calling, last_end - end, calling}, site.chunk));
}

void demand_all_workers(bool on) { all_demanded = on; }

}  // namespace dlcore::DLCORE_DEVICE
