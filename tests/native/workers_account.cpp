// The rules by which helpers are asked for: csrc/workers_account.h. Exits with 1 and says what does not hold.
#include "workers_account.h"

#include <cstdio>

using namespace dlcore::DLCORE_DEVICE;

namespace {

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  std::printf("not so: %s\n", what);
  ++failures;
}

// The time of loops alone until helpers are asked again.
Nanoseconds rest_of(Account& account) {
  Nanoseconds rest = 0;
  for (; account.is_resting(); rest += millisecond) account.pass(millisecond);
  return rest;
}

void a_course_is_valued_by_what_it_saved_the_caller() {
  const Nanoseconds chunk = 10 * microsecond;
  check(saved({8, 4, 40 * microsecond, 0, 0}, chunk) == 40 * microsecond, "half the chunks done by others are saved");
  check(saved({8, 4, 40 * microsecond, 15 * microsecond, 5 * microsecond}, chunk) == 20 * microsecond,
        "waiting and calling count against it");
  check(saved({8, 8, 80 * microsecond, 0, 0}, chunk) == 0, "nothing is saved where nobody came");
  check(saved({8, 4, 60 * microsecond, 0, 0}, chunk) == 40 * microsecond, "chunks may take a little longer");
  check(saved({8, 4, 3040 * microsecond, 0, 0}, chunk) == -2960 * microsecond,
        "a turn that the caller lost counts against its helpers");
}

void helpers_that_cost_rest_ever_longer() {
  Account account;
  check(!account.is_resting(), "helpers are tried at first");
  account.book(-trial_credit + 1);
  check(!account.is_resting(), "the first losses are borne");
  Nanoseconds before = 0;
  for (int i = 0; i < 8; ++i) {
    account.book(-trial_credit);
    check(account.is_resting(), "then they rest");
    const Nanoseconds rest = rest_of(account);
    check(rest >= shortest_rest && rest <= longest_rest, "for a time within limits");
    check(rest >= before, "that grows");
    before = rest;
  }
  check(before == longest_rest, "up to the longest");
}

void helpers_that_pay_rest_shorter() {
  Account account;
  for (int i = 0; i < 8; ++i, rest_of(account)) account.book(-trial_credit);
  for (int i = 0; i < 8; ++i) {
    account.book(most_credit);
    account.book(-most_credit / 2);
    check(!account.is_resting(), "what was saved bears a lost turn");
  }
  account.book(-most_credit);
  check(rest_of(account) == shortest_rest, "and the next rest is short again");
}

void chunks_take_the_shortest_time_seen_and_slowly_more() {
  Site& site = site_of({&failures, 1000, 10, 0});
  check(!site.known && site.chunk == usual_chunk, "a new place has the usual chunk");
  site.learn(5 * microsecond);
  check(site.chunk == 5 * microsecond, "the first time counts");
  site.learn(millisecond);
  check(site.chunk < 6 * microsecond, "one long time is taken for an interruption");
  for (int i = 0; i < 100; ++i) site.learn(8 * microsecond);
  check(site.chunk > 7 * microsecond, "many are not");
  site.learn(4 * microsecond);
  check(site.chunk == 4 * microsecond, "a shorter one counts at once");
  check(&site_of({&failures, 1000, 10, 0}) == &site, "a place is found again");
  check(!site_of({&failures, 1000, 10, 7}).known, "loops of other work are another place");
}

}  // namespace

int main() {
  a_course_is_valued_by_what_it_saved_the_caller();
  helpers_that_cost_rest_ever_longer();
  helpers_that_pay_rest_shorter();
  chunks_take_the_shortest_time_seen_and_slowly_more();
  return failures > 0;
}
