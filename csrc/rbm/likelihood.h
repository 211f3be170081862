// What rbm.cpp computes of the likelihood: see rbm.h. Sums over states and flips are made in double whatever T is.
#pragma once

#include <algorithm>
#include <cmath>

#include "../matmul.h"
#include "../memory.h"
#include "../parallel.h"
#include "../philox_vec.h"
#include "../vecmath.h"
#include "partition.h"
#include "states.h"
#include "units.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Sums over a row of one annealing step: log(1 + y) of y in [-1/2, 0], and max(x, 0), which shares the loop.
template <typename T> struct StepSums {
  static constexpr int most = 8;  // 1 + y of so many are multiplied before one logarithm; 2^-8 is far from 0
  Vec<T> product_minus_1{}, logs{}, positive{};
  int pending = 0;
  // (1 + a)(1 + y) - 1 without the 1, which would cost small y their digits; both are <= 0, so little cancels.
  DLCORE_INLINE void add(Vec<T> y, Vec<T> x) {
    product_minus_1 += y + product_minus_1 * y;
    positive += x > Vec<T>{} ? x : Vec<T>{};
    if (++pending == most) fold();
  }
  DLCORE_INLINE void fold() {
    logs += vlog1p<T>(product_minus_1);
    product_minus_1 = Vec<T>{};
    pending = 0;
  }
};

// 1 where u < sigmoid(x), e = e^-|x|: multiplied out, which saves a division.
template <typename T> DLCORE_INLINE Vec<T> draw_from_field(Vec<T> u, Vec<T> x, Vec<T> e) {
  const Vec<T> threshold = x > Vec<T>{} ? splat<T>(1) : e;
  return u * (1 + e) < threshold ? splat<T>(1) : Vec<T>{};
}

// Of a row: returns sum_j softplus(to x_j) - softplus(from x_j) and replaces the fields x by a draw from sigmoid(to x).
// With low and high the smaller and larger of both, a term is (high - low) max(x, 0) + log(1 + q expm1(-(high - low)
// |x|)), q = sigmoid(-low |x|): no large numbers cancel.
template <typename T>
double anneal_hidden_row(std::uint64_t key, std::uint64_t step, Index begin, Index end, double from, double to, T* x) {
  const bool rising = to >= from;
  const double width = std::abs(to - from);
  const Vec<T> low = splat(static_cast<T>(rising ? from : to)), difference = splat(static_cast<T>(width));
  StepSums<T> sums;
  for_each_sample<T>(key, step, begin, end, [&](Index i, Vec<T> u) {
    const bool whole = i + lanes<T> <= end;
    const Vec<T> field = whole ? load(x + i) : load_partial(x + i, end - i);
    const Vec<T> e = exp_of_minus_abs<T>(low * field), m = vexpm1<T>(-(difference * vabs<T>(field)));
    sums.add(e / (1 + e) * m, field);
    const Vec<T> sample = draw_from_field<T>(u, field, rising ? e * (1 + m) : e);
    if (whole) store(x + i, sample);
    else store_partial(x + i, sample, end - i);
  });
  sums.fold();
  const double change =
      width * static_cast<double>(horizontal_sum<T>(sums.positive)) + static_cast<double>(horizontal_sum<T>(sums.logs));
  return rising ? change : -change;
}

// Replaces y of a row by a draw from sigmoid(shift + beta y).
template <typename T>
void anneal_visible_row(std::uint64_t key, std::uint64_t step, Index begin, Index end, T beta, const T* shift, T* y) {
  const Vec<T> scale_ = splat(beta);
  for_each_sample<T>(key, step, begin, end, [=](Index i, Vec<T> u) {
    const bool whole = i + lanes<T> <= end;
    const T* const from = shift + (i - begin);
    const Vec<T> product = whole ? load(y + i) : load_partial(y + i, end - i);
    const Vec<T> field = (whole ? load(from) : load_partial(from, end - i)) + scale_ * product;
    const Vec<T> sample = draw_from_field<T>(u, field, exp_of_minus_abs<T>(field));
    if (whole) store(y + i, sample);
    else store_partial(y + i, sample, end - i);
  });
}

// Rows worth handing to another thread.
inline Index annealed_rows(Index units) { return std::max<Index>(1, 16 * draw_chunk / std::max<Index>(1, units)); }

}  // namespace

template <typename T>
void rbm_ais(const Rbm<T>& rbm, const T* base_bias, Index n, T* v, Index steps, const double* betas, std::uint64_t key,
             std::uint64_t step, double* log_weights) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  const Buffer<T> states(n * hidden), differences(visible), shifts(visible);
  Weights<T> weights(rbm);
  T* const h = states.data();
  T* const difference = differences.data();
  T* const shift = shifts.data();
  for (Index i = 0; i < visible; ++i) difference[i] = rbm.visible_bias[i] - base_bias[i];
  for (Index k = 0; k < steps; ++k, step += 2) {
    const double from = betas[k], to = betas[k + 1];
    weights.up(n, v, {rbm.hidden_bias, Activation::identity, T(0)}, h);
    parallel_for(n, annealed_rows(hidden), [=](Index begin, Index end) {
      for (Index row = begin; row < end; ++row)
        log_weights[row] += (to - from) * sum_of_products<T>(visible, v + row * visible, difference) +
                            anneal_hidden_row<T>(key, step, row * hidden, (row + 1) * hidden, from, to, h);
    });
    weights.down(n, h, {}, v);
    for (Index i = 0; i < visible; ++i)
      shift[i] =
          static_cast<T>((1 - to) * static_cast<double>(base_bias[i]) + to * static_cast<double>(rbm.visible_bias[i]));
    parallel_for(n, annealed_rows(visible), [=](Index begin, Index end) {
      for (Index row = begin; row < end; ++row)
        anneal_visible_row<T>(key, step + 1, row * visible, (row + 1) * visible, static_cast<T>(to), shift, v);
    });
  }
}

template <typename T> void rbm_pseudo_log_likelihood(const Rbm<T>& rbm, Index n, const T* v, double* result) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden, padded = round_up(hidden, lanes<double>);
  const Index block = std::min<Index>(n, 64);
  const Buffer<double> weights(visible * padded), biases(padded), case_block(block * visible), fields(block * padded);
  double* const w = weights.data();
  double* const x = fields.data();
  double* const cases = case_block.data();
  for (Index i = 0; i < visible; ++i)
    for (Index j = 0; j < padded; ++j)
      w[i * padded + j] = j < hidden ? static_cast<double>(rbm.weight[i * hidden + j]) : 0.0;
  for (Index j = 0; j < padded; ++j) biases.data()[j] = j < hidden ? static_cast<double>(rbm.hidden_bias[j]) : absent;
  for (Index first = 0; first < n; first += block) {
    const Index rows = std::min(block, n - first);
    for (Index i = 0; i < rows * visible; ++i) cases[i] = static_cast<double>(v[first * visible + i]);
    matmul(false, false, rows, padded, visible, 1.0, cases, w, 0.0, x,
           Epilogue<double>{biases.data(), Activation::identity, 0.0});
    parallel_for(rows, std::max<Index>(1, elementwise_grain / 8 / (visible * padded + 1)), [=](Index begin, Index end) {
      for (Index row = begin; row < end; ++row) {
        const double* const field = x + row * padded;
        // -F(v) without b.v where unit i is moved by `by`: its weights move the fields.
        const auto moved = [=](Index i, double by) {
          return sum_of_softplus(padded, [=](Index j) { return load(field + j) + by * load(w + i * padded + j); });
        };
        const double here = sum_of_softplus(padded, [=](Index j) { return load(field + j); });
        double sum = 0;
        for (Index i = 0; i < visible; ++i) {
          const double value = cases[row * visible + i];
          const double on = value == 1 ? here : moved(i, 1 - value), off = value == 0 ? here : moved(i, -value);
          const double odds = static_cast<double>(rbm.visible_bias[i]) + on - off;
          sum += value * odds - (odds < 0 ? 0.0 : odds) - std::log1p(std::exp(-std::abs(odds)));
        }
        result[first + row] = sum;
      }
    });
  }
}

}  // namespace dlcore::DLCORE_DEVICE
