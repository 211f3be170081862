// How many states the layers of a machine have, and sums of their exponentials: for every device.
#pragma once

#include <algorithm>
#include <cmath>

#include "../philox.h"
#include "../rbm.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// log sum e^x of numbers that come one after the other.
struct LogSum {
  double largest = -HUGE_VAL, sum = 0;
  // `times` e^x; an infinite x equals the largest, so that no difference of infinities is taken.
  DLCORE_HOST_DEVICE void add(double x, double times = 1) {
    if (x == largest) {
      sum += times;
    } else if (x > largest) {
      sum = sum * std::exp(largest - x) + times;
      largest = x;
    } else {
      sum += times * std::exp(x - largest);
    }
  }
  DLCORE_HOST_DEVICE double value() const { return largest + std::log(sum); }
};

// States of both layers, or uncountable.
struct LayerStates {
  Index visible, hidden;
};
inline constexpr Index uncountable = Index{1} << 62;

inline LayerStates count_states(Index n_visible, Index n_hidden, const Segment* segments, Index n_segments,
                                Unit hidden) {
  const auto times = [](Index states, Index options) {
    return states > uncountable / std::max<Index>(options, 1) ? uncountable : states * options;
  };
  const auto binary = [](Index units) { return units < 62 ? Index{1} << units : uncountable; };
  LayerStates result{segments ? 1 : binary(n_visible), hidden == Unit::bernoulli ? binary(n_hidden) : uncountable};
  for (Index s = 0; s < n_segments; ++s) {
    const Index units = segments[s].end - segments[s].begin;
    if (segments[s].kind == Unit::gaussian && units) result.visible = uncountable;
    else if (segments[s].kind == Unit::bernoulli) result.visible = times(result.visible, binary(units));
    else
      for (Index i = 0; i < units; i += segments[s].group) result.visible = times(result.visible, segments[s].group);
  }
  return result;
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
