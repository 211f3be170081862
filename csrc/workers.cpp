#include "workers.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "workers_account.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Measured on two virtual Zen 3 processors: waking a thread took its caller 3 to 5 microseconds, the thread 50 to 200.
// A process that shares a processor gets turns of about 3 milliseconds.
constexpr Nanoseconds wake_up = 100 * microsecond;        // what is left of a loop must be longer than this
constexpr Nanoseconds close = 200 * microsecond;          // from one loop to the next: worth staying awake
constexpr Nanoseconds lost_processor = 50 * microsecond;  // a waiting loop's turn that took so long was interrupted
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

// For tests, by the holder of a claim: waits until all places are taken.
void await_all() {
  while (places_left(state.load(std::memory_order_acquire)) > 0) sched_yield();
}

// Helps with the loop in progress, if there is one with a place left.
bool help() {
  Part part;
  Claim claim = take(part);
  if (claim.count == 0) return false;
  if (loop.all) await_all();
  for (; claim.count > 0; claim = take(part)) {
    loop.run(loop.context, claim.first, claim.count, part.worker);
    // From here on the caller may be gone.
    finished.fetch_add(static_cast<int>(claim.count), std::memory_order_acq_rel);
    finished.notify_one();
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
      const std::uint64_t s = state.load(std::memory_order_acquire);
      if (chunks_left(s) > 0 && places_left(s) > 0) return true;
      pause();
    }
    const Nanoseconds time = now();
    if (time - last > lost_processor || is_in_the_way()) return false;
    last = time;
  }
  return false;
}

void* serve(void*) {
  for (;;) {
    const int heard = calls.load(std::memory_order_acquire);
    if (is_in_the_way()) move_away();
    while (!is_in_the_way() && (help() || comes_soon())) {}
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
  share.store(shares_of_worker * workers, std::memory_order_relaxed);
  loop = {workers, all, context, run};
  Part part{number_of(state.load(std::memory_order_relaxed)) + 1, 0};
  state.store(std::uint64_t{part.loop_number} << number_shift | static_cast<std::uint64_t>(workers - 1) * one_place |
                  static_cast<std::uint64_t>(chunks) * one_end,
              std::memory_order_release);

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
    const auto left = static_cast<Nanoseconds>(chunks_left(state.load(std::memory_order_relaxed)));
    called = (now() - loop_begin) / own * left > wake_up;
    if (called) call_workers();
  }
  const Nanoseconds end = now(), chunk_time = own > 0 ? (end - loop_begin - calling) / own : 0;
  await(static_cast<int>(chunks - own), chunk_time);
  end_loop();

  if (own > 0) site.learn(chunk_time);
  if (own < chunks) call_pause = wake_up;
  if (!all) account.book(site.chunk * (chunks - own) - (last_end - end) - calling);
}

void demand_all_workers(bool on) { all_demanded = on; }

}  // namespace dlcore::DLCORE_DEVICE
