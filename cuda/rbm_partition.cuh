// The sum over all states that rbm.cu computes: see csrc/rbm.h. In double whatever T is.
#pragma once

#include <algorithm>
#include <vector>

#include "rbm_likelihood.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// A digit of a state: which unit of a group is on, or whether a Bernoulli unit is.
struct Digit {
  Index first, options;
  bool binary;
};
// What is summed out together: a Bernoulli unit, a softmax group, a Gaussian unit (the `gaussian`-th of its layer).
struct Summand {
  Unit kind;
  Index begin, end, gaussian;
};

struct Enumeration {
  Index digits, summands, others;
  const Digit* digit;
  const Summand* summand;
  const double *weight, *bias;  // weight (units, others): of the enumerated units to the others
  const double *other_bias, *log_variance;
};

__device__ inline bool turned_on(Index& rest, const Digit& digit, Index& unit) {
  if (digit.options == 2) {
    unit = rest & 1;
    rest >>= 1;
  } else {
    unit = rest % digit.options;
    rest /= digit.options;
  }
  const bool on = !digit.binary || unit == 1;
  unit = digit.binary ? digit.first : digit.first + unit;
  return on;
}

__device__ inline double field_of(const Enumeration& e, Index state, Index j) {
  double field = e.other_bias[j];
  for (Index d = 0, unit = 0; d < e.digits; ++d)
    if (turned_on(state, e.digit[d], unit)) field += e.weight[unit * e.others + j];
  return field;
}

// log of the sum over the options of one summand.
__device__ inline double summed_out(const Enumeration& e, Index state, const Summand& summand) {
  if (summand.kind == Unit::bernoulli) return softplus_in_double(field_of(e, state, summand.begin));
  if (summand.kind == Unit::softmax) {
    LogSum options;
    for (Index j = summand.begin; j < summand.end; ++j) options.add(field_of(e, state, j));
    return options.value();
  }
  const double z = e.log_variance ? e.log_variance[summand.gaussian] : 0.0, half_precision = std::exp(-z) / 2;
  const double b = e.log_variance ? e.other_bias[summand.begin] : 0.0, field = field_of(e, state, summand.begin);
  constexpr double log_two_pi = 1.8378770664093454836;
  return field * field * half_precision + (log_two_pi + z) / 2 - b * b * half_precision;
}

// Each warp adds a run of states; its lanes share the summands.
__global__ void partition_kernel(Enumeration e, Index first, Index count, Index run, Index runs, LogSum* sums) {
  const Index lane = threadIdx.x % warp_size;
  for (Index at = global_thread() / warp_size; at < runs; at += global_threads() / warp_size) {
    const Index begin = first + at * run, end = begin + run < first + count ? begin + run : first + count;
    LogSum sum;
    for (Index state = begin; state < end; ++state) {
      double total = 0;
      for (Index i = lane; i < e.summands; i += warp_size) total += summed_out(e, state, e.summand[i]);
      total = sum_of_warp(total);
      Index rest = state;
      for (Index d = 0, unit = 0; d < e.digits; ++d)
        if (turned_on(rest, e.digit[d], unit)) total += e.bias[unit];
      sum.add(total);
    }
    if (lane == 0) sums[at] = sum;
  }
}

template <typename T> struct WeightOfUnits {
  Index others;
  bool turned;
  Index hidden;
  const T* weight;
  double* to;
  __device__ void operator()(Index unit, Index j) const {
    to[unit * others + j] = static_cast<double>(turned ? weight[j * hidden + unit] : weight[unit * hidden + j]);
  }
};

template <typename Item> Buffer<Item> on_device(const std::vector<Item>& items) {
  Buffer<Item> result(static_cast<Index>(items.size()));
  if (!items.empty()) copy_from_host(result.data(), items.data(), static_cast<Index>(items.size() * sizeof(Item)));
  return result;
}
template <typename T> Buffer<double> in_double(Index n, const T* x) {
  Buffer<double> result(n);
  convert("rbm: double", n, x, result.data());
  return result;
}

}  // namespace

template <typename T> double rbm_log_partition(const Rbm<T>& rbm, Index first, Index count) {
  const LayerStates layers = count_states(rbm.n_visible, rbm.n_hidden, rbm.segments, rbm.n_segments, rbm.hidden);
  const bool turned = layers.hidden < layers.visible;  // then the hidden layer is enumerated
  const Index units = turned ? rbm.n_hidden : rbm.n_visible, others = turned ? rbm.n_visible : rbm.n_hidden;
  const Segment all_visible{Unit::bernoulli, 0, rbm.n_visible, 1}, all_hidden{rbm.hidden, 0, rbm.n_hidden, 1};
  const std::vector<Segment> visible(rbm.segments ? rbm.segments : &all_visible,
                                     rbm.segments ? rbm.segments + rbm.n_segments : &all_visible + 1);
  const std::vector<Segment> hidden{all_hidden};
  std::vector<Digit> digits;
  for (const Segment& segment : turned ? hidden : visible) {
    const bool binary = segment.kind == Unit::bernoulli;
    for (Index i = segment.begin; i < segment.end; i += binary ? 1 : segment.group)
      digits.push_back({i, binary ? 2 : segment.group, binary});
  }
  std::vector<Summand> summands;
  Index gaussian = 0;
  for (const Segment& segment : turned ? visible : hidden) {
    const Index step = segment.kind == Unit::softmax ? segment.group : 1;
    for (Index i = segment.begin; i < segment.end; i += step)
      summands.push_back({segment.kind, i, i + step, segment.kind == Unit::gaussian ? gaussian++ : 0});
  }
  const Buffer<Digit> digit = on_device(digits);
  const Buffer<Summand> summand = on_device(summands);
  const Buffer<double> weight(units * others),
      bias = in_double(units, turned ? rbm.hidden_bias : rbm.visible_bias),
      other_bias = in_double(others, turned ? rbm.visible_bias : rbm.hidden_bias);
  const Buffer<double> log_variance =
      turned && rbm.n_gaussian ? in_double(rbm.n_gaussian, rbm.log_variance) : Buffer<double>();
  for_each("rbm_log_partition", units, others,
           WeightOfUnits<T>{others, turned, rbm.n_hidden, rbm.weight, weight.data()});
  const Enumeration enumeration{static_cast<Index>(digits.size()),
                                static_cast<Index>(summands.size()),
                                others,
                                digit.data(),
                                summand.data(),
                                weight.data(),
                                bias.data(),
                                other_bias.data(),
                                log_variance.data()};
  const Index run = std::max<Index>(8, ceil_div(count, 65536)), runs = ceil_div(count, run);
  const Buffer<LogSum> sums(runs);
  launch("rbm_log_partition", partition_kernel, grid_over(runs * warp_size), enumeration, first, count, run, runs,
         sums.data());
  const HostView<LogSum> parts(sums.data(), runs);
  LogSum total;
  for (Index i = 0; i < runs; ++i) total.add(parts[i].largest, parts[i].sum);
  return total.value();
}

}  // namespace dlcore::DLCORE_DEVICE
