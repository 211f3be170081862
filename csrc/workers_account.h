// What the caller of loops knows about them: how long their chunks take, and whether helpers pay.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "types.h"
#include "workers.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

using Nanoseconds = std::int64_t;

constexpr Nanoseconds microsecond = 1000, millisecond = 1000 * microsecond;
constexpr Nanoseconds usual_chunk = 10 * microsecond;  // parallel.h
constexpr Nanoseconds most_credit = 8 * millisecond, trial_credit = 4 * millisecond;
constexpr Nanoseconds lost_turn = millisecond / 2;  // not by less does a loop take longer that loses its processor
constexpr Nanoseconds shortest_rest = 10 * millisecond, longest_rest = 300 * millisecond;

// What a loop took: of its chunks the caller did `own` in `time`, then waited for the others; `calling` workers took it
// some time too.
struct Course {
  Index chunks, own;
  Nanoseconds time, wait, calling;
};

// What helpers saved the caller of it, where a chunk takes so long. A caller that lost its processor may have had to
// share it because a helper had the other one: that counts as their cost.
inline Nanoseconds saved(const Course& loop, Nanoseconds chunk) {
  const Nanoseconds lost = loop.time - loop.own * chunk;
  return (loop.chunks - loop.own) * chunk - loop.wait - loop.calling -
         (lost > std::max(lost_turn, loop.own * chunk / 2) ? lost : 0);
}

// What helpers saved less what they cost. Where it is used up, they rest for some time of loops; the credit they then
// get is about a turn of another process.
class Account {
 public:
  void book(Nanoseconds saved) {
    const bool was_less = credit_ < most_credit;
    credit_ = std::min(credit_ + saved, most_credit);
    if (was_less && credit_ == most_credit) rest_ = std::max(rest_ / 2, shortest_rest);
    if (credit_ > 0) return;
    rest_left_ = rest_;
    rest_ = std::min(4 * rest_, longest_rest);
    credit_ = trial_credit;
  }
  bool is_resting() const { return rest_left_ > 0; }
  // A loop without helpers has taken so long.
  void pass(Nanoseconds time) {
    if (is_resting()) rest_left_ -= time;
  }

 private:
  Nanoseconds credit_ = trial_credit, rest_ = shortest_rest, rest_left_ = 0;
};

// How long a chunk of the loops at a place takes a thread that keeps its processor: the shortest time, and slowly more
// where it grows.
struct Site {
  Place place;
  Nanoseconds chunk;
  bool known;

  void learn(Nanoseconds time) {
    chunk = known && time > chunk ? chunk + std::min(time - chunk, chunk) / 16 + 1 : std::max<Nanoseconds>(time, 1);
    known = true;
  }
};
Site sites[256];

// A place that is new takes that of another one.
Site& site_of(const Place& place) {
  std::uint64_t mixed = reinterpret_cast<std::uintptr_t>(place.body) / 16;
  for (Index size : {place.n, place.grain, place.work})
    mixed = (mixed ^ static_cast<std::uint64_t>(size)) * 0x9e3779b97f4a7c15U;
  Site& site = sites[(mixed >> 32) % std::size(sites)];
  if (site.place != place) site = {place, usual_chunk, false};
  return site;
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
