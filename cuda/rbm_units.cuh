// Layers of several kinds of units: what their fields mean, how they are drawn and scaled. One launch for each segment
// of the visible layer, so that no table of them is copied.
#pragma once

#include "../csrc/philox.h"
#include "../csrc/random.h"
#include "../csrc/rbm.h"
#include "activate.cuh"
#include "gemm_finish.cuh"
#include "map.cuh"
#include "rbm_sums.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// The sample in [0, 1) of one element of a draw.
template <typename T> __device__ inline T sample_of(std::uint64_t key, std::uint64_t step, Index element) {
  const std::uint64_t word = static_cast<std::uint64_t>(element) * (sizeof(T) / 4);
  const PhiloxBlock block = philox(key, step, word / 4);
  if constexpr (sizeof(T) == 4) {
    const int i = static_cast<int>(word % 4);  // compared, not indexed with: the words stay in registers
    return unit_float(i == 0 ? block.word[0] : i == 1 ? block.word[1] : i == 2 ? block.word[2] : block.word[3]);
  } else {
    return word % 4 == 0 ? unit_double(block.word[0], block.word[1]) : unit_double(block.word[2], block.word[3]);
  }
}

// Calls f(segment, first Gaussian unit of it, counted among those of the layer).
template <typename T, typename F> void for_each_segment(const Rbm<T>& rbm, const F& f) {
  for (Index s = 0, gaussian = 0; s < rbm.n_segments; ++s) {
    f(rbm.segments[s], gaussian);
    if (rbm.segments[s].kind == Unit::gaussian) gaussian += rbm.segments[s].end - rbm.segments[s].begin;
  }
}

template <typename T> struct FillWith {
  T* to;
  T value;
  __device__ void operator()(Index, Index i) const { to[i] = value; }
};
template <typename T> struct PowerOfVariance {
  double factor;
  const T* log_variance;
  T* to;
  __device__ void operator()(Index, Index i) const {
    to[i] = static_cast<T>(std::exp(factor * static_cast<double>(log_variance[i])));
  }
};
// exp(factor z) of Gaussian visible units and 1 of the others, (n_visible,): 1 / s for -1, sigma for 1/2. Empty where
// no unit is Gaussian.
template <typename T> Buffer<T> powers_of_variance(const Rbm<T>& rbm, double factor) {
  if (rbm.n_gaussian == 0) return {};
  Buffer<T> result(rbm.n_visible);
  for_each("rbm: variances", 1, rbm.n_visible, FillWith<T>{result.data(), T(1)});
  for_each_segment(rbm, [&](const Segment& segment, Index gaussian) {
    if (segment.kind == Unit::gaussian)
      for_each("rbm: variances", 1, segment.end - segment.begin,
               PowerOfVariance<T>{factor, rbm.log_variance + gaussian, result.data() + segment.begin});
  });
  return result;
}

template <typename T> struct TimesRow {
  Index columns;
  const T *x, *row;
  T* to;
  __device__ void operator()(Index i, Index j) const { to[i * columns + j] = x[i * columns + j] * row[j]; }
};
// to = v / s, row by row.
template <typename T> void scale_by_precision(Index n, Index visible, const T* precision, const T* v, T* to) {
  for_each("rbm: scale", n, visible, TimesRow<T>{visible, v, precision, to});
}

// --- Means ---

template <typename T> struct SigmoidOfColumns {
  Index columns;
  T* x;
  __device__ void operator()(Index i, Index j) const {
    x[i * columns + j] = activate(Activation::sigmoid, x[i * columns + j], T(0));
  }
};
template <typename T> struct SoftmaxOfGroup {
  Index columns, group;
  T* x;
  __device__ void operator()(Index row, Index g) const {
    T* const at = x + row * columns + g * group;
    T largest = at[0], sum = 0;
    for (Index i = 1; i < group; ++i)
      if (at[i] > largest || at[i] != at[i]) largest = at[i];
    for (Index i = 0; i < group; ++i) sum += at[i] = at[i] == largest ? T(1) : std::exp(at[i] - largest);
    for (Index i = 0; i < group; ++i) at[i] /= sum;
  }
};
// Fields of visible units to means, in place.
template <typename T> void means_of_fields(const Rbm<T>& rbm, Index n, T* x) {
  if (!rbm.segments) return activation(Activation::sigmoid, T(0), n * rbm.n_visible, x, x);
  for_each_segment(rbm, [&](const Segment& segment, Index) {
    const Index units = segment.end - segment.begin;
    if (segment.kind == Unit::bernoulli)
      for_each("rbm: means", n, units, SigmoidOfColumns<T>{rbm.n_visible, x + segment.begin});
    if (segment.kind == Unit::softmax)
      for_each("rbm: means", n, units / segment.group,
               SoftmaxOfGroup<T>{rbm.n_visible, segment.group, x + segment.begin});
  });
}

// --- Draws ---

template <typename T> struct DrawBernoulli {
  std::uint64_t key;
  DrawStep step;
  Index columns, first;
  const T* means;
  T* samples;
  __device__ void operator()(Index row, Index unit) const {
    const Index i = row * columns + first + unit;
    samples[i] = sample_of<T>(key, step, i) < means[i] ? T(1) : T(0);
  }
};
template <typename T> struct DrawGroup {
  std::uint64_t key;
  DrawStep step;
  Index columns, first, group;
  const T* means;
  T* samples;
  __device__ void operator()(Index row, Index g) const {
    const Index begin = row * columns + first + g * group;
    const T u = sample_of<T>(key, step, begin);
    Index drawn = -1, possible = group - 1;
    T sum = 0;
    for (Index i = 0; i < group && drawn < 0; ++i) {
      sum += means[begin + i];
      if (u < sum) drawn = i;
      else if (means[begin + i] > T(0)) possible = i;
    }
    for (Index i = 0; i < group; ++i) samples[begin + i] = i == (drawn < 0 ? possible : drawn) ? T(1) : T(0);
  }
};
template <typename T> struct AddNoise {
  Index columns, noise_columns;
  const T *means, *sigma, *noise;
  T* samples;
  __device__ void operator()(Index row, Index unit) const {
    const Index i = row * columns + unit;
    samples[i] = means[i] + sigma[unit] * noise[row * noise_columns + unit];
  }
};
template <typename T> struct Plus {
  __device__ T operator()(T x, T y) const { return x + y; }
};
template <typename T> struct Times {
  T factor;
  __device__ T operator()(T x) const { return factor * x; }
};

// Draws of a visible layer of several kinds of units; samples may be the means.
template <typename T>
void draw_mixed(const Rbm<T>& rbm, std::uint64_t key, std::uint64_t step, Index n, const T* means, T* samples) {
  const Index visible = rbm.n_visible, gaussians = rbm.n_gaussian;
  const Buffer<T> noise(n * gaussians), sigma = powers_of_variance(rbm, 0.5);
  normal(key ^ rbm_normal_stream, step, n * gaussians, T(0), T(1), noise.data());
  for_each_segment(rbm, [&](const Segment& segment, Index gaussian) {
    const Index first = segment.begin, units = segment.end - first;
    if (segment.kind == Unit::bernoulli)
      for_each("rbm: draw", n, units, DrawBernoulli<T>{key, step, visible, first, means, samples});
    else if (segment.kind == Unit::softmax)
      for_each("rbm: draw", n, units / segment.group,
               DrawGroup<T>{key, step, visible, first, segment.group, means, samples});
    else
      for_each("rbm: draw", n, units,
               AddNoise<T>{visible, gaussians, means + first, sigma.data() + first, noise.data() + gaussian,
                           samples + first});
  });
}

// --- A layer given the other ---

template <typename T> void hidden_of_scaled(const Rbm<T>& rbm, Index n, const T* scaled, T* means) {
  matmul(
      false, false, n, rbm.n_hidden, rbm.n_visible, T(1), scaled, rbm.weight, T(0), means,
      Epilogue<T>{rbm.hidden_bias, rbm.hidden == Unit::bernoulli ? Activation::sigmoid : Activation::identity, T(0)});
}

// Draws of h given v / s; where `means` is not null, it takes factor times what they are drawn from.
template <typename T>
void sample_hidden(const Rbm<T>& rbm, Index n, const T* scaled, std::uint64_t key, std::uint64_t step, T* samples,
                   T* means = nullptr, T factor = 1) {
  if (rbm.hidden == Unit::bernoulli)
    return matmul_and_draw(false, false, n, rbm.n_hidden, rbm.n_visible, T(1), scaled, rbm.weight, T(0), means,
                           Epilogue<T>{rbm.hidden_bias, Activation::sigmoid, T(0)},
                           GemmDraw<T>{samples, key, step, factor});
  hidden_of_scaled(rbm, n, scaled, samples);
  if (means) map<T>("rbm: scale", n * rbm.n_hidden, means, Times<T>{factor}, samples);
  rbm_draw_hidden(rbm, key, step, n, samples, samples);
}

// Draws of v given h, and their means where wanted.
template <typename T>
void sample_visible(const Rbm<T>& rbm, Index n, const T* h, std::uint64_t key, std::uint64_t step, T* samples,
                    T* means = nullptr) {
  if (!rbm.segments)
    return matmul_and_draw(false, true, n, rbm.n_visible, rbm.n_hidden, T(1), h, rbm.weight, T(0), means,
                           Epilogue<T>{rbm.visible_bias, Activation::sigmoid, T(0)},
                           GemmDraw<T>{samples, key, step, T(1)});
  T* const from = means ? means : samples;
  rbm_visible(rbm, n, h, from);
  draw_mixed(rbm, key, step, n, from, samples);
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
