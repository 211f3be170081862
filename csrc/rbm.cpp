#include "rbm.h"

#include <algorithm>

#include "matmul.h"
#include "memory.h"
#include "parallel.h"
#include "philox_vec.h"
#include "random.h"
#include "rbm_likelihood.h"

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

}  // namespace

template <typename T> void rbm_hidden(const Rbm<T>& rbm, Index n, const T* v, T* probabilities) {
  matmul(false, false, n, rbm.n_hidden, rbm.n_visible, T(1), v, rbm.weight, T(0), probabilities,
         Epilogue<T>{rbm.hidden_bias, Activation::sigmoid, T(0)});
}

template <typename T> void rbm_visible(const Rbm<T>& rbm, Index n, const T* h, T* probabilities) {
  matmul(false, true, n, rbm.n_visible, rbm.n_hidden, T(1), h, rbm.weight, T(0), probabilities,
         Epilogue<T>{rbm.visible_bias, Activation::sigmoid, T(0)});
}

template <typename T>
void rbm_gibbs(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, T* samples,
               T* probabilities, const Interruption& interruption) {
  const Index hidden_size = n * rbm.n_hidden, visible_size = n * rbm.n_visible;
  const Buffer<T> hidden(hidden_size);
  T* h = hidden.data();
  for (Index i = 0; i < k; ++i, step += 2) {
    if (i > 0) interruption();
    rbm_hidden(rbm, n, i == 0 ? v : samples, h);
    bernoulli(key, step, hidden_size, h, h);
    rbm_visible(rbm, n, h, probabilities);
    bernoulli(key, step + 1, visible_size, probabilities, samples);
  }
}

template <typename T>
double rbm_cd(const Rbm<T>& rbm, Index n, const T* v, Index k, std::uint64_t key, std::uint64_t step, Index n_chains,
              T* chains, T* gradient, const Interruption& interruption) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  if (!chains) n_chains = n;
  // Data above, chains below: the statistics of both are one product, and so are their hidden probabilities in PCD.
  const Index rows = n + n_chains;
  const Buffer<T> visible_stack(rows * visible), hidden_stack(rows * hidden), state(n_chains * hidden);
  T* const v_data = visible_stack.data();
  T* const v_chain = v_data + n * visible;
  T* const h_data = hidden_stack.data();
  T* const h_chain = h_data + n * hidden;
  T* const h = state.data();
  const Index v_size = n_chains * visible, h_size = n_chains * hidden;
  const double data_weight = static_cast<double>(n_chains) / static_cast<double>(n);
  double error = 0;

  copy(n * visible, v, v_data);
  if (chains) {
    copy(h_size, chains, h);
  } else {
    rbm_hidden(rbm, n, v, h_data);
    sample_and_scale(key, step++, h_size, T(-1), h_data, h);
  }
  for (Index i = 0; i < k; ++i) {
    if (i > 0) {
      interruption();
      rbm_hidden(rbm, n_chains, v_chain, h);
      bernoulli(key, step++, h_size, h, h);
    }
    rbm_visible(rbm, n_chains, h, v_chain);
    if (!chains && i == 0) error = sample_and_compare(key, step++, v_size, v_data, v_chain);
    else bernoulli(key, step++, v_size, v_chain, v_chain);
  }
  if (chains) {
    rbm_hidden(rbm, rows, v_data, h_data);
    bernoulli(key, step, h_size, h_chain, h);
    scale(n * hidden, static_cast<T>(-data_weight), h_data);
  } else {
    rbm_hidden(rbm, n_chains, v_chain, h_chain);
  }

  const double cases = static_cast<double>(n_chains);
  matmul(true, false, visible, hidden, rows, static_cast<T>(1 / cases), v_data, h_data, T(0), gradient);
  T* const visible_gradient = gradient + visible * hidden;
  difference_of_column_sums(rows, n, visible, v_data, data_weight, cases, visible_gradient);
  difference_of_column_sums(rows, n, hidden, h_data, -1.0, cases, visible_gradient + visible);
  if (chains) copy(h_size, h, chains);
  return error / static_cast<double>(n);
}

template <typename T> void rbm_free_energy(const Rbm<T>& rbm, Index n, const T* v, T* energy) {
  const Index visible = rbm.n_visible, hidden = rbm.n_hidden;
  // Some rows at a time, so that their softplus stays in the second-level cache.
  const Index block = std::min(n, std::max<Index>(16, 65536 / std::max<Index>(1, hidden)));
  const Buffer<T> softplus(block * hidden);
  for (Index first = 0; first < n; first += block) {
    const Index rows = std::min(block, n - first);
    T* const s = softplus.data();
    matmul(false, false, rows, hidden, visible, T(1), v + first * visible, rbm.weight, T(0), s,
           Epilogue<T>{rbm.hidden_bias, Activation::softplus, T(0)});
    parallel_for(rows, std::max<Index>(1, elementwise_grain / (visible + hidden + 1)), [=](Index begin, Index end) {
      for (Index i = begin; i < end; ++i)
        energy[first + i] = static_cast<T>(-sum_of_products<T>(visible, v + (first + i) * visible, rbm.visible_bias) -
                                           sum_of_products<T>(hidden, s + i * hidden));
    });
  }
}

#define DLCORE_INSTANTIATE(T)                                                                                   \
  template void rbm_hidden(const Rbm<T>&, Index, const T*, T*);                                                 \
  template void rbm_visible(const Rbm<T>&, Index, const T*, T*);                                                \
  template void rbm_gibbs(const Rbm<T>&, Index, const T*, Index, std::uint64_t, std::uint64_t, T*, T*,          \
                          const Interruption&);                                                                 \
  template double rbm_cd(const Rbm<T>&, Index, const T*, Index, std::uint64_t, std::uint64_t, Index, T*, T*,    \
                         const Interruption&);                                                                  \
  template void rbm_free_energy(const Rbm<T>&, Index, const T*, T*);                                            \
  template double rbm_log_partition(const Rbm<T>&, Index, Index);                                               \
  template void rbm_ais(const Rbm<T>&, const T*, Index, T*, Index, const double*, std::uint64_t, std::uint64_t, \
                        double*);                                                                               \
  template void rbm_pseudo_log_likelihood(const Rbm<T>&, Index, const T*, double*);
DLCORE_INSTANTIATE(float)
DLCORE_INSTANTIATE(double)
#undef DLCORE_INSTANTIATE

}  // namespace dlcore::DLCORE_DEVICE
