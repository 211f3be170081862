// Layers of several kinds of units: what their fields mean, how they are drawn and scaled.
#pragma once

#include <algorithm>
#include <cmath>

#include "../memory.h"
#include "../parallel.h"
#include "../philox.h"
#include "../philox_vec.h"
#include "../random.h"
#include "../rbm.h"
#include "../softmax_vec.h"
#include "../vecmath.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Runs of products are added in T over the lanes of a vector, the runs in double.
template <typename T, typename... Factors> double sum_of_products(Index n, const Factors*... x) {
  constexpr Index run = 32 * lanes<T>;
  double total = 0;
  for (Index first = 0; first < n; first += run) {
    const Index stop = std::min(n, first + run);
    Vec<T> sum{};
    Index i = first;
    for (; i + lanes<T> <= stop; i += lanes<T>) sum += (load(x + i) * ...);
    if (i < stop) sum += (load_partial(x + i, stop - i) * ...);
    total += static_cast<double>(horizontal_sum<T>(sum));
  }
  return total;
}

// Rows of a layer worth handing to another thread.
inline Index layer_rows(Index units) { return std::max<Index>(1, elementwise_grain / 4 / (units + 1)); }

// The sample that for_each_sample gives to one element.
template <typename T> T sample_of(std::uint64_t key, std::uint64_t step, Index element) {
  const Index word = element * words_per_element<T>;
  const PhiloxBlock block = philox(key, step, static_cast<std::uint64_t>(word / 4));
  if constexpr (sizeof(T) == 4) return unit_float(block.word[word % 4]);
  else return unit_double(block.word[word % 4], block.word[word % 4 + 1]);
}

// x = softmax(x) of one group.
template <typename T> void softmax_of_group(Index n, T* x) {
  const Vec<T> m = splat(row_max(n, x));
  map_vectors(n, x, [=](Vec<T> e) { return exp_shifted<T>(e - m); }, x);
  T sum = 0;
  for (Index i = 0; i < n; ++i) sum += x[i];
  const Vec<T> total = splat(sum);
  map_vectors(n, x, [=](Vec<T> e) { return e / total; }, x);
}

// Turns on the first unit up to which the probabilities add to more than u. Where rounding keeps the whole sum from
// that, the last one that is possible.
template <typename T> void draw_group(Index n, T u, const T* p, T* samples) {
  Index drawn = -1, possible = n - 1;
  T sum = 0;
  for (Index i = 0; i < n && drawn < 0; ++i) {
    sum += p[i];
    if (u < sum) drawn = i;
    else if (p[i] > 0) possible = i;
  }
  std::fill(samples, samples + n, T(0));
  samples[drawn < 0 ? possible : drawn] = 1;
}

// Calls f(segment, first Gaussian unit of it, counted among those of the layer).
template <typename T, typename F> void for_each_segment(const Rbm<T>& rbm, const F& f) {
  for (Index s = 0, gaussian = 0; s < rbm.n_segments; ++s) {
    f(rbm.segments[s], gaussian);
    if (rbm.segments[s].kind == Unit::gaussian) gaussian += rbm.segments[s].end - rbm.segments[s].begin;
  }
}

// exp(factor z) of Gaussian visible units and 1 of the others, (n_visible,): 1 / s for -1, sigma for 1/2. Empty where
// no unit is Gaussian.
template <typename T> Buffer<T> powers_of_variance(const Rbm<T>& rbm, double factor) {
  if (rbm.n_gaussian == 0) return {};
  Buffer<T> result(rbm.n_visible);
  T* const to = result.data();
  std::fill(to, to + rbm.n_visible, T(1));
  for_each_segment(rbm, [&](const Segment& segment, Index gaussian) {
    if (segment.kind != Unit::gaussian) return;
    for (Index i = segment.begin; i < segment.end; ++i)
      to[i] = static_cast<T>(std::exp(factor * static_cast<double>(rbm.log_variance[gaussian + i - segment.begin])));
  });
  return result;
}

// to = v / s, row by row.
template <typename T> void scale_by_precision(Index n, Index visible, const T* precision, const T* v, T* to) {
  parallel_for(n, std::max<Index>(1, elementwise_grain / (visible + 1)), [=](Index begin, Index end) {
    for (Index row = begin; row < end; ++row)
      map_vectors(visible, to + row * visible, [](Vec<T> x, Vec<T> p) { return x * p; }, v + row * visible, precision);
  });
}

// sum_i e_i of a case; `precision` as powers_of_variance gives it, -1.
template <typename T> double energy_of_visible(const Rbm<T>& rbm, const T* v, const T* precision) {
  if (!rbm.n_gaussian) return -sum_of_products<T>(rbm.n_visible, v, rbm.visible_bias);
  double energy = 0;
  for (Index s = 0; s < rbm.n_segments; ++s) {
    const Segment& segment = rbm.segments[s];
    const Index first = segment.begin, count = segment.end - first;
    if (segment.kind != Unit::gaussian) {
      energy -= sum_of_products<T>(count, v + first, rbm.visible_bias + first);
      continue;
    }
    for (Index i = first; i < segment.end; ++i) {
      const double d = static_cast<double>(v[i]) - static_cast<double>(rbm.visible_bias[i]);
      energy += d * d / 2 * static_cast<double>(precision[i]);
    }
  }
  return energy;
}

// Fields to means, in place.
template <typename T> void means_of_fields(const Rbm<T>& rbm, Index n, T* x) {
  parallel_for(n, layer_rows(rbm.n_visible), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row)
      for (Index s = 0; s < rbm.n_segments; ++s) {
        const Segment& segment = rbm.segments[s];
        T* const units = x + row * rbm.n_visible + segment.begin;
        const Index count = segment.end - segment.begin;
        if (segment.kind == Unit::bernoulli) map_vectors(count, units, [](Vec<T> e) { return vsigmoid<T>(e); }, units);
        if (segment.kind == Unit::softmax)
          for (Index i = 0; i < count; i += segment.group) softmax_of_group(segment.group, units + i);
      }
  });
}

// samples = u < p of elements begin .. end of a draw.
template <typename T>
void draw_bernoulli(std::uint64_t key, std::uint64_t step, Index begin, Index end, const T* p, T* samples) {
  for_each_sample<T>(key, step, begin, end, [=](Index i, Vec<T> u) {
    const bool whole = i + lanes<T> <= end;
    const Vec<T> probability = whole ? load(p + i) : load_partial(p + i, end - i);
    const Vec<T> sample = u < probability ? splat<T>(1) : Vec<T>{};
    if (whole) store(samples + i, sample);
    else store_partial(samples + i, sample, end - i);
  });
}

// Draws of a visible layer of several kinds of units.
template <typename T>
void draw_mixed(const Rbm<T>& rbm, std::uint64_t key, std::uint64_t step, Index n, const T* means, T* samples) {
  const Index visible = rbm.n_visible, gaussians = rbm.n_gaussian;
  const Buffer<T> noise_(n * gaussians), sigma_ = powers_of_variance(rbm, 0.5);
  T* const noise = noise_.data();
  const T* const sigma = sigma_.data();
  normal(key ^ rbm_normal_stream, step, n * gaussians, T(0), T(1), noise);
  parallel_for(n, layer_rows(visible), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row)
      for_each_segment(rbm, [&](const Segment& segment, Index gaussian) {
        const Index first = row * visible + segment.begin, count = segment.end - segment.begin;
        if (segment.kind == Unit::bernoulli) {
          draw_bernoulli(key, step, first, first + count, means, samples);
        } else if (segment.kind == Unit::softmax) {
          for (Index i = first; i < first + count; i += segment.group)
            draw_group(segment.group, sample_of<T>(key, step, i), means + i, samples + i);
        } else {
          map_vectors(
              count, samples + first, [](Vec<T> mean, Vec<T> s, Vec<T> z) { return mean + s * z; }, means + first,
              sigma + segment.begin, noise + row * gaussians + gaussian);
        }
      });
  });
}

// sum (a - b)^2 over n elements, added block by block in a fixed order.
template <typename T> double squared_distance(Index n, const T* a, const T* b) {
  constexpr Index block_size = 4096;
  const Index blocks = ceil_div(n, block_size);
  const Buffer<double> partial(blocks);
  double* const sums = partial.data();
  parallel_for(blocks, elementwise_grain / block_size, [=](Index begin, Index end) {
    for (Index block = begin; block < end; ++block) {
      const Index stop = std::min(n, (block + 1) * block_size);
      Vec<T> sum{};
      Index i = block * block_size;
      for (; i + lanes<T> <= stop; i += lanes<T>) {
        const Vec<T> d = load(a + i) - load(b + i);
        sum += d * d;
      }
      if (i < stop) {
        const Vec<T> d = load_partial(a + i, stop - i) - load_partial(b + i, stop - i);
        sum += d * d;
      }
      sums[block] = static_cast<double>(horizontal_sum<T>(sum));
    }
  });
  double total = 0;
  for (Index block = 0; block < blocks; ++block) total += sums[block];
  return total;
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
