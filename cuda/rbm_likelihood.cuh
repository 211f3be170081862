// What rbm.cu computes of the likelihood: see csrc/rbm.h. Sums over states and flips are made in double whatever T is.
#pragma once

#include <cmath>
#include <vector>

#include "../csrc/rbm/counting.h"
#include "rbm_units.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// --- Annealed importance sampling ---

// 1 where u < sigmoid(x), e = e^-|x|: multiplied out, which saves a division.
template <typename T> __device__ inline T draw_from_field(T u, T x, T e) {
  return u * (1 + e) < (x > T(0) ? T(1) : e) ? T(1) : T(0);
}

// A warp for each row: log_weights[row] += (to - from) v.difference + sum_j softplus(to x_j) - softplus(from x_j), and
// the fields x become draws from sigmoid(to x). With low and high the smaller and larger of both, a term is (high -
// low) max(x, 0) + log(1 + q expm1(-(high - low) |x|)), q = sigmoid(-low |x|): no large numbers cancel.
template <typename T>
__global__ void anneal_kernel(Index rows, Index visible, Index hidden, double from, double to, const T* v, const T* b,
                              const T* base, std::uint64_t key, DrawStep drawn, T* x, double* log_weights) {
  const std::uint64_t step = drawn;
  const bool rising = to >= from;
  const T low = static_cast<T>(rising ? from : to), width = static_cast<T>(rising ? to - from : from - to);
  const Index lane = threadIdx.x % warp_size;
  for (Index row = global_thread() / warp_size; row < rows; row += global_threads() / warp_size) {
    double sum = 0, logs = 0, positive = 0;
    for (Index i = lane; i < visible; i += warp_size)
      sum += static_cast<double>(v[row * visible + i]) * static_cast<double>(b[i] - base[i]);
    for (Index j = lane; j < hidden; j += warp_size) {
      const Index at = row * hidden + j;
      const T field = x[at], e = std::exp(-std::fabs(low * field)), m = std::expm1(-(width * std::fabs(field)));
      logs += static_cast<double>(std::log1p(e / (1 + e) * m));
      if (field > T(0)) positive += static_cast<double>(field);
      x[at] = draw_from_field(sample_of<T>(key, step, at), field, rising ? e * (1 + m) : e);
    }
    const double change = (rising ? to - from : from - to) * positive + logs;
    sum = sum_of_warp((to - from) * sum + (rising ? change : -change));
    if (lane == 0) log_weights[row] += sum;
  }
}
template <typename T> struct AnnealedBias {
  double beta;
  const T *bias, *base;
  T* to;
  __device__ void operator()(Index, Index i) const {
    to[i] = static_cast<T>((1 - beta) * static_cast<double>(base[i]) + beta * static_cast<double>(bias[i]));
  }
};

// --- Pseudo-likelihood ---

__device__ inline double softplus_in_double(double x) {
  return (x > 0 ? x : 0.0) + std::log1p(std::exp(-std::fabs(x)));
}

// The log-probability of unit i of a row given the others, in terms (rows, visible). A warp for each: the sums over the
// hidden units of -F without b.v, where unit i is on and where it is off; its weights move the fields.
template <typename T>
__global__ void flips_kernel(Index rows, Index visible, Index hidden, const T* cases, const double* fields,
                             const double* weight, const T* bias, double* terms) {
  const Index lane = threadIdx.x % warp_size;
  for (Index at = global_thread() / warp_size; at < rows * visible; at += global_threads() / warp_size) {
    const Index row = at / visible, i = at % visible;
    const double value = static_cast<double>(cases[at]);
    double difference = 0;
    for (Index j = lane; j < hidden; j += warp_size) {
      const double field = fields[row * hidden + j], w = weight[i * hidden + j];
      const double on = value == 1 ? field : field + (1 - value) * w, off = value == 0 ? field : field - value * w;
      difference += softplus_in_double(on) - softplus_in_double(off);
    }
    difference = sum_of_warp(difference);
    const double odds = static_cast<double>(bias[i]) + difference;
    if (lane == 0) terms[at] = value * odds - (odds < 0 ? 0.0 : odds) - std::log1p(std::exp(-std::fabs(odds)));
  }
}

}  // namespace

template <typename T>
void rbm_ais(const Rbm<T>& rbm, const T* base_bias, Index n, T* v, Index steps, const double* betas, std::uint64_t key,
             std::uint64_t step, double* log_weights) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  const Buffer<T> states(n * hidden), shifts(visible);
  const HostView<double> at(betas, steps + 1);
  T* const h = states.data();
  for (Index k = 0; k < steps; ++k, step += 2) {
    matmul<T>(false, false, n, hidden, visible, T(1), v, rbm.weight, T(0), h,
              Epilogue<T>{rbm.hidden_bias, Activation::identity, T(0)});
    launch("rbm_ais", anneal_kernel<T>, grid_over(n * warp_size), n, visible, hidden, at[k], at[k + 1], v,
           rbm.visible_bias, base_bias, key, step, h, log_weights);
    for_each("rbm_ais", 1, visible, AnnealedBias<T>{at[k + 1], rbm.visible_bias, base_bias, shifts.data()});
    matmul_and_draw<T>(false, true, n, visible, hidden, static_cast<T>(at[k + 1]), h, rbm.weight, T(0), nullptr,
                       Epilogue<T>{shifts.data(), Activation::sigmoid, T(0)}, GemmDraw<T>{v, key, step + 1, T(1)});
  }
}

template <typename T> void rbm_pseudo_log_likelihood(const Rbm<T>& rbm, Index n, const T* v, double* result) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  const Index block = std::min<Index>(n, std::max<Index>(64, (Index{1} << 22) / (visible + hidden + 1)));
  const Buffer<double> weight(visible * hidden), biases(hidden), cases(block * visible), fields(block * hidden),
      terms(block * visible);
  convert("rbm: double", visible * hidden, rbm.weight, weight.data());
  convert("rbm: double", hidden, rbm.hidden_bias, biases.data());
  for (Index first = 0; first < n; first += block) {
    const Index rows = std::min(block, n - first);
    const T* const v_rows = v + first * visible;
    convert("rbm: double", rows * visible, v_rows, cases.data());
    matmul<double>(false, false, rows, hidden, visible, 1.0, cases.data(), weight.data(), 0.0, fields.data(),
                   Epilogue<double>{biases.data(), Activation::identity, 0.0});
    launch("rbm_pseudo_log_likelihood", flips_kernel<T>, grid_over(rows * visible * warp_size), rows, visible, hidden,
           v_rows, fields.data(), weight.data(), rbm.visible_bias, terms.data());
    row_sums("rbm_pseudo_log_likelihood", rows, visible, ElementOf<double>{visible, terms.data()},
             Store<double>{result + first});
  }
}

}  // namespace dlcore::DLCORE_DEVICE
