// Contrastive divergence of rbm.cpp: see rbm.h.
#pragma once

#include <algorithm>

#include "../matmul.h"
#include "../memory.h"
#include "../parallel.h"
#include "../philox_vec.h"
#include "../random.h"
#include "states.h"
#include "terms.h"
#include "units.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr Index sample_grain = 16 * draw_chunk;

template <typename T> void copy(Index n, const T* from, T* to) {
  parallel_for(n, elementwise_grain, [=](Index begin, Index end) {
    std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin) * sizeof(T));
  });
}

template <typename T> void scale(Index n, T factor, T* x) {
  parallel_for(n, elementwise_grain, [=](Index begin, Index end) {
    map_vectors(end - begin, x + begin, [=](Vec<T> e) { return factor * e; }, x + begin);
  });
}

// samples = u < p, and p *= factor in the same pass.
template <typename T>
void sample_and_scale(std::uint64_t key, std::uint64_t step, Index n, T factor, T* p, T* samples) {
  parallel_for(n, sample_grain, [=](Index begin, Index end) {
    for_each_sample<T>(key, step, begin, end, [=](Index i, Vec<T> u) {
      const bool whole = i + lanes<T> <= end;
      const Vec<T> probability = whole ? load(p + i) : load_partial(p + i, end - i);
      const Vec<T> sample = u < probability ? splat<T>(1) : Vec<T>{};
      if (whole) {
        store(samples + i, sample);
        store(p + i, factor * probability);
      } else {
        store_partial(samples + i, sample, end - i);
        store_partial(p + i, factor * probability, end - i);
      }
    });
  });
}

// x = u < x in place; returns sum (target - x)^2 of the probabilities, added block by block in a fixed order.
template <typename T> double sample_and_compare(std::uint64_t key, std::uint64_t step, Index n, const T* target, T* x) {
  const Index blocks = ceil_div(n, draw_chunk);
  const Buffer<double> error(blocks);
  double* sums = error.data();
  parallel_for(blocks, sample_grain / draw_chunk, [=](Index begin, Index end) {
    for (Index block = begin; block < end; ++block) {
      const Index stop = std::min(n, (block + 1) * draw_chunk);
      Vec<T> sum{};
      for_each_sample<T>(key, step, block * draw_chunk, stop, [&](Index i, Vec<T> u) {
        const bool whole = i + lanes<T> <= stop;
        const Vec<T> p = whole ? load(x + i) : load_partial(x + i, stop - i);
        const Vec<T> difference = p - (whole ? load(target + i) : load_partial(target + i, stop - i));
        sum += difference * difference;
        const Vec<T> sample = u < p ? splat<T>(1) : Vec<T>{};
        if (whole) store(x + i, sample);
        else store_partial(x + i, sample, stop - i);
      });
      sums[block] = static_cast<double>(horizontal_sum<T>(sum));
    }
  });
  double total = 0;
  for (Index block = 0; block < blocks; ++block) total += sums[block];
  return total;
}

// sum[j] += x[0][j] + x[1][j] + ..., rows `stride` apart; four at a time, to load and store the sums less often.
template <typename T> void add_rows(Index rows, Index columns, const T* x, Index stride, T* sum) {
  Index i = 0;
  for (; i + 4 <= rows; i += 4, x += 4 * stride)
    for (Index j = 0; j < columns; ++j) sum[j] += (x[j] + x[stride + j]) + (x[2 * stride + j] + x[3 * stride + j]);
  for (; i < rows; ++i, x += stride)
    for (Index j = 0; j < columns; ++j) sum[j] += x[j];
}

// to[j] = (sum of rows [split, rows) of x - factor * sum of rows [0, split)) / divisor.
// Runs of rows are added in T, the runs in double, in a fixed order.
template <typename T>
void difference_of_column_sums(Index rows, Index split, Index columns, const T* x, double factor, double divisor,
                               T* to) {
  constexpr Index width = 256, run = 64;
  parallel_for(ceil_div(columns, width), std::max<Index>(1, elementwise_grain / (width * rows)),
               [=](Index begin, Index end) {
                 for (Index first = begin * width; first < std::min(columns, end * width); first += width) {
                   const Index count = std::min(width, columns - first);
                   double total[width] = {};
                   for (Index row = 0, stop; row < rows; row = stop) {
                     const bool above = row < split;
                     stop = std::min(row + run, above ? split : rows);
                     T sum[width] = {};
                     add_rows(stop - row, count, x + row * columns + first, columns, sum);
                     for (Index j = 0; j < count; ++j) total[j] += (above ? -factor : 1) * static_cast<double>(sum[j]);
                   }
                   for (Index j = 0; j < count; ++j) to[first + j] = static_cast<T>(total[j] / divisor);
                 }
               });
}

// to[j] += weight_j / 2 (mean of (x - centre_j)^2 over rows [split, rows) - factor times the sum over rows [0, split) /
// divisor), columns `first` .. `last` of rows of `columns`.
template <typename T>
void add_difference_of_squares(Index rows, Index split, Index columns, Index first, Index last, const T* x,
                               const T* centre, const T* precision, double factor, double divisor, T* to) {
  constexpr Index width = 64;
  parallel_for(ceil_div(last - first, width), std::max<Index>(1, elementwise_grain / (width * rows)),
               [=](Index begin, Index end) {
                 for (Index block = begin; block < end; ++block) {
                   const Index start = first + block * width, count = std::min(width, last - start);
                   double total[width] = {};
                   for (Index row = 0; row < rows; ++row) {
                     const T* const at = x + row * columns + start;
                     const double sign = row < split ? -factor : 1;
                     for (Index j = 0; j < count; ++j) {
                       const T d = at[j] - centre[start + j];
                       total[j] += sign * static_cast<double>(d * d);
                     }
                   }
                   for (Index j = 0; j < count; ++j)
                     to[start - first + j] +=
                         static_cast<T>(static_cast<double>(precision[start + j]) * total[j] / (2 * divisor));
                 }
               });
}

// The workspace of a contrast. Data above, chains below: the statistics of both are one
// product, and so are their hidden means in PCD.
template <typename T> struct Contrast {
  Index n, n_chains;
  Buffer<T> visible, hidden, state, precision, scaled;

  Contrast(const Rbm<T>& rbm, Index cases, Index chains)
      : n(cases),
        n_chains(chains),
        visible((cases + chains) * rbm.n_visible),
        hidden((cases + chains) * rbm.n_hidden),
        state(chains * rbm.n_hidden),
        scaled(rbm.n_gaussian ? (cases + chains) * rbm.n_visible : 0) {}
};

template <typename T> Epilogue<T> means_of_hidden(const Rbm<T>& rbm) {
  return {rbm.hidden_bias, rbm.hidden == Unit::bernoulli ? Activation::sigmoid : Activation::identity, T(0)};
}

template <typename T> void hidden_of_scaled(const Rbm<T>& rbm, Index n, const T* scaled, T* means) {
  matmul(false, false, n, rbm.n_hidden, rbm.n_visible, T(1), scaled, rbm.weight, T(0), means, means_of_hidden(rbm));
}

// E[v | h] by the products of `weights`.
template <typename T> void visible_of(const Rbm<T>& rbm, Weights<T>& weights, Index n, const T* h, T* means) {
  weights.down(n, h, {rbm.visible_bias, rbm.segments ? Activation::identity : Activation::sigmoid, T(0)}, means);
  if (rbm.segments) means_of_fields(rbm, n, means);
}

// rbm_cd of the cases that stand at the head of work.visible.
template <typename T>
double contrast(const Rbm<T>& rbm, Contrast<T>& work, Index k, std::uint64_t key, std::uint64_t step, T* chains,
                T* gradient, const Interruption& interruption, const ContrastTerms<T>& terms) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden, n = work.n, n_chains = work.n_chains;
  const Index rows = n + n_chains;
  T* const v_data = work.visible.data();
  T* const v_chain = v_data + n * visible;
  T* const h_data = work.hidden.data();
  T* const h_chain = h_data + n * hidden;
  T* const h = work.state.data();
  const Index v_size = n_chains * visible, h_size = n_chains * hidden;
  const double data_weight = static_cast<double>(n_chains) / static_cast<double>(n);
  const Epilogue<T> hidden_means = means_of_hidden(rbm);
  Weights<T> weights(rbm);
  Entries<T> of_data, of_chain;
  double error = 0;

  // Where no unit is Gaussian, v / s is v itself.
  const bool gaussian = rbm.n_gaussian > 0;
  if (gaussian) work.precision = powers_of_variance(rbm, -1);
  T* const scaled_data = gaussian ? work.scaled.data() : v_data;
  T* const scaled_chain = scaled_data + n * visible;
  const auto scale_rows = [&](Index first, Index count) {
    if (gaussian)
      scale_by_precision(count, visible, work.precision.data(), v_data + first * visible,
                         scaled_data + first * visible);
  };

  scale_rows(0, n);
  if (chains) {
    copy(h_size, chains, h);
  } else {
    weights.up(n, scaled_data, hidden_means, h_data, &of_data);
    if (rbm.hidden == Unit::bernoulli) {
      sample_and_scale(key, step++, h_size, T(-1), h_data, h);
    } else {
      rbm_draw_hidden(rbm, key, step++, n, h_data, h);
      scale(h_size, T(-1), h_data);
    }
  }
  for (Index i = 0; i < k; ++i) {
    if (i > 0) {
      interruption();
      weights.up(n_chains, scaled_chain, hidden_means, h);
      rbm_draw_hidden(rbm, key, step++, n_chains, h, h);
    }
    visible_of(rbm, weights, n_chains, h, v_chain);
    const bool compared = !chains && i == 0;
    if (compared && !rbm.segments) {
      error = sample_and_compare(key, step++, v_size, v_data, v_chain);
    } else {
      if (compared) error = squared_distance(v_size, v_data, v_chain);
      rbm_draw_visible(rbm, key, step++, n_chains, v_chain, v_chain);
    }
    scale_rows(n, n_chains);
  }
  if (chains) {
    weights.up(rows, scaled_data, hidden_means, h_data, &of_data);
    rbm_draw_hidden(rbm, key, step, n_chains, h_chain, h);
    scale(n * hidden, static_cast<T>(-data_weight), h_data);
  } else {
    weights.up(n_chains, scaled_chain, hidden_means, h_chain, &of_chain);
  }

  const double cases = static_cast<double>(n_chains);
  correlate(rows, of_data, of_chain, visible, hidden, static_cast<T>(1 / cases), scaled_data, h_data, gradient);
  T* const visible_gradient = gradient + visible * hidden;
  difference_of_column_sums(rows, n, visible, scaled_data, data_weight, cases, visible_gradient);
  difference_of_column_sums(rows, n, hidden, h_data, -1.0, cases, visible_gradient + visible);
  for_each_segment(rbm, [&](const Segment& segment, Index first) {
    if (segment.kind != Unit::gaussian) return;
    T* const to = visible_gradient + visible + hidden + first;
    for (Index i = segment.begin; i < segment.end; ++i)
      to[i - segment.begin] =
          static_cast<T>(-sum_of_products<T>(hidden, rbm.weight + i * hidden, gradient + i * hidden));
    add_difference_of_squares(rows, n, visible, segment.begin, segment.end, v_data, rbm.visible_bias,
                              work.precision.data(), data_weight, cases, to);
  });
  if (terms.fixed_variance)
    std::fill(visible_gradient + visible + hidden, visible_gradient + visible + hidden + rbm.n_gaussian, T(0));
  if (terms.offsets || terms.activity || terms.weight_decay != 0 || (terms.scaled_steps && gaussian)) {
    const Buffer<T> means(visible + hidden);
    if (terms.offsets || terms.activity) {  // the data's hidden means stand there times -data_weight
      difference_of_column_sums(n, 0, visible, v_data, 0.0, static_cast<double>(n), means.data());
      difference_of_column_sums(n, 0, hidden, h_data, 0.0, -cases, means.data() + visible);
    }
    add_terms(rbm, terms, means.data(), means.data() + visible, work.precision.data(), gradient);
  }
  if (chains) copy(h_size, h, chains);
  return error / static_cast<double>(n);
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
