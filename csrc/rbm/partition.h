// The sum over all states that rbm.cpp computes: see rbm.h. In double whatever T is.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include "../memory.h"
#include "../parallel.h"
#include "../vecmath.h"
#include "counting.h"
#include "units.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// A field of a unit that does not exist: softplus of it is 0, and stays so for every weight it is moved by.
constexpr double absent = -1000;

// e^-|x|, in (0, 1].
template <typename T> DLCORE_INLINE Vec<T> exp_of_minus_abs(Vec<T> x) {
  return detail::exp_in_range<T>(detail::at_least<T>(-vabs<T>(x), detail::Format<T>::exp_low));
}

// sum of softplus(field(i)) over vectors i = 0, lanes, .. below n, a multiple of lanes. softplus(x) is max(x, 0) +
// log(1 + e^-|x|); 512 factors of at most 2 cannot overflow, so one logarithm serves them all.
template <typename Field> DLCORE_INLINE double sum_of_softplus(Index n, const Field& field) {
  constexpr Index run = 512 * lanes<double>;
  double total = 0;
  for (Index first = 0; first < n; first += run) {
    const Index stop = std::min(n, first + run);
    Vec<double> product = splat(1.0), positive{};
    for (Index i = first; i < stop; i += lanes<double>) {
      const Vec<double> x = field(i);
      product *= 1 + exp_of_minus_abs<double>(x);
      positive += x > Vec<double>{} ? x : Vec<double>{};
    }
    total += horizontal_sum<double>(vlog<double>(product) + positive);
  }
  return total;
}

// Of a layer of several kinds of units: the columns its units have here, Bernoulli ones first and padded to whole
// vectors, and what is summed out over them.
struct Columns {
  struct Group {
    Index begin, end;
  };
  Index softplus = 0, groups = 0;                      // columns of Bernoulli units, padded; softmax groups
  Index first_gaussian = 0, gaussians = 0, count = 0;  // of all columns, padded
  Buffer<Index> of_unit;
  Buffer<Group> group;
  Buffer<double> precision, constant;  // of Gaussian column i: 1 / 2 s, and what stands beside field^2 / 2 s

  template <typename T> Columns(const Rbm<T>& rbm, bool visible) {
    const Index units = visible ? rbm.n_visible : rbm.n_hidden;
    const Segment whole{visible ? Unit::bernoulli : rbm.hidden, 0, units, 1};
    const Segment* const segments = visible && rbm.segments ? rbm.segments : &whole;
    const Index n_segments = visible && rbm.segments ? rbm.n_segments : 1;
    of_unit = Buffer<Index>(units);
    const auto place = [&](Unit kind, Index& column) {
      for (const Segment* at = segments; at < segments + n_segments; ++at)
        for (Index i = at->begin; at->kind == kind && i < at->end; ++i) of_unit.data()[i] = column++;
    };
    place(Unit::bernoulli, softplus);
    softplus = round_up(softplus, lanes<double>);
    count = softplus;
    place(Unit::softmax, count);
    for (const Segment* at = segments; at < segments + n_segments; ++at)
      if (at->kind == Unit::softmax) groups += (at->end - at->begin) / at->group;
    group = Buffer<Group>(groups);
    for (Index s = 0, g = 0; s < n_segments; ++s)
      for (Index i = segments[s].begin; segments[s].kind == Unit::softmax && i < segments[s].end;
           i += segments[s].group, ++g)
        group.data()[g] = {of_unit.data()[i], of_unit.data()[i] + segments[s].group};
    first_gaussian = count;
    place(Unit::gaussian, count);
    gaussians = count - first_gaussian;
    precision = Buffer<double>(gaussians);
    constant = Buffer<double>(gaussians);
    for (Index s = 0, g = 0; s < n_segments; ++s)
      for (Index i = segments[s].begin; segments[s].kind == Unit::gaussian && i < segments[s].end; ++i, ++g) {
        const double z = visible ? static_cast<double>(rbm.log_variance[g]) : 0.0;
        const double b = visible ? static_cast<double>(rbm.visible_bias[i]) : 0.0;
        precision.data()[g] = std::exp(-z) / 2;
        constant.data()[g] = (std::log(2 * std::numbers::pi) + z) / 2 - b * b * precision.data()[g];
      }
    count = round_up(count, lanes<double>);
  }

  // log of the sum over the units of exp(-energy), of fields x + y; the columns that pad x are `absent`.
  double summed_out(const double* x, const double* y) const {
    double sum = sum_of_softplus(softplus, [=](Index j) { return load(x + j) + load(y + j); });
    for (Index g = 0; g < groups; ++g) {
      LogSum options;
      for (Index j = group.data()[g].begin; j < group.data()[g].end; ++j) options.add(x[j] + y[j]);
      sum += options.value();
    }
    for (Index g = 0; g < gaussians; ++g) {
      const double field = x[first_gaussian + g] + y[first_gaussian + g];
      sum += field * field * precision.data()[g] + constant.data()[g];
    }
    return sum;
  }
};

// The enumerated layer's states: the fields of the other layer are those of the high digits plus a row of a table over
// the low digits, which stays in the cache.
struct States {
  struct Digit {
    Index first, options;  // its first unit; 2 of a Bernoulli unit, which is that unit or none
    bool binary;
  };
  Columns columns;
  Index digits = 0, low = 0, low_states = 1;  // digits of the table
  Buffer<Digit> digit;
  Buffer<double> weight, bias, other_bias, fields, biases;

  template <typename T> States(const Rbm<T>& rbm, bool turned) : columns(rbm, turned) {
    const Index units = turned ? rbm.n_hidden : rbm.n_visible, n_others = turned ? rbm.n_visible : rbm.n_hidden;
    const Index others = columns.count;
    digit = Buffer<Digit>(units);
    const Segment whole{Unit::bernoulli, 0, units, 1};
    const Segment* const segments = turned || !rbm.segments ? &whole : rbm.segments;
    for (Index s = 0; s < (turned || !rbm.segments ? 1 : rbm.n_segments); ++s) {
      const bool binary = segments[s].kind == Unit::bernoulli;
      for (Index i = segments[s].begin; i < segments[s].end; i += binary ? 1 : segments[s].group)
        digit.data()[digits++] = {i, binary ? 2 : segments[s].group, binary};
    }
    while (low < digits && low_states * digit.data()[low].options * others <= 16384)
      low_states *= digit.data()[low++].options;
    weight = Buffer<double>(units * others);
    bias = Buffer<double>(units);
    other_bias = Buffer<double>(others);
    fields = Buffer<double>(low_states * others);
    biases = Buffer<double>(low_states);
    const T* unit_bias = turned ? rbm.hidden_bias : rbm.visible_bias;
    const T* to_bias = turned ? rbm.visible_bias : rbm.hidden_bias;
    std::fill(other_bias.data(), other_bias.data() + others, absent);
    std::fill(weight.data(), weight.data() + units * others, 0.0);
    for (Index j = 0; j < n_others; ++j) other_bias.data()[columns.of_unit.data()[j]] = static_cast<double>(to_bias[j]);
    for (Index i = 0; i < units; ++i) {
      bias.data()[i] = static_cast<double>(unit_bias[i]);
      for (Index j = 0; j < n_others; ++j)
        weight.data()[i * others + columns.of_unit.data()[j]] =
            static_cast<double>(rbm.weight[turned ? j * units + i : i * n_others + j]);
    }
    for (Index state = 0; state < low_states; ++state)
      biases.data()[state] = sum_units(state, 0, low, fields.data() + state * others);
  }

  // field = the sum of the weights of the units that digits begin .. end turn on; returns that of their biases.
  double sum_units(Index state, Index begin, Index end, double* field) const {
    const Index others = columns.count;
    std::fill(field, field + others, 0.0);
    double sum = 0;
    for (Index d = begin; d < end; ++d) {
      const Digit& at = digit.data()[d];
      const Index option = state % at.options;
      state /= at.options;
      if (at.binary && option == 0) continue;
      const Index unit = at.first + (at.binary ? 0 : option);
      sum += bias.data()[unit];
      const double* row = weight.data() + unit * others;
      for (Index j = 0; j < others; ++j) field[j] += row[j];
    }
    return sum;
  }

  // log of the sum over states begin .. end; `field` is scratch of as many numbers as there are columns.
  LogSum sum(Index begin, Index end, double* field) const {
    const Index others = columns.count;
    LogSum result;
    for (Index state = begin, stop; state < end; state = stop) {
      const Index block = state / low_states;
      stop = std::min(end, (block + 1) * low_states);
      const double block_bias = sum_units(block, low, digits, field);
      for (Index j = 0; j < others; ++j) field[j] += other_bias.data()[j];
      for (; state < stop; ++state) {
        const Index row = state - block * low_states;
        result.add(block_bias + biases.data()[row] + columns.summed_out(field, fields.data() + row * others));
      }
    }
    return result;
  }
};

}  // namespace

template <typename T> double rbm_log_partition(const Rbm<T>& rbm, Index first, Index count) {
  const LayerStates layers = count_states(rbm.n_visible, rbm.n_hidden, rbm.segments, rbm.n_segments, rbm.hidden);
  const States states(rbm, layers.hidden < layers.visible);
  const Index others = states.columns.count;
  // Runs are cut by shape: at least about a hundred microseconds each, and not more than memory holds with ease.
  Index size = states.low_states;
  while (size < count && others * size < Index{1} << 17) size *= 2;
  while (count / size > 65536) size *= 2;
  const Index runs = ceil_div(count, size);
  const Buffer<LogSum> sums(runs);
  const Team team(runs, 1);
  const Buffer<double> fields(team.workers() * others);
  team.run([&](Index begin, Index end, int worker) {
    for (Index i = begin; i < end; ++i)
      sums.data()[i] =
          states.sum(first + i * size, first + std::min(count, (i + 1) * size), fields.data() + worker * others);
  });
  LogSum total;
  for (Index i = 0; i < runs; ++i) total.add(sums.data()[i].largest, sums.data()[i].sum);
  return total.value();
}

}  // namespace dlcore::DLCORE_DEVICE
