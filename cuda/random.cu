#include "../csrc/random.h"

#include <vector>

#include "../csrc/instances/random.h"
#include "../csrc/memory.h"
#include "../csrc/philox.h"
#include "map.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// The elements that one block of words makes: four of float32, two of float64.
template <typename T> constexpr int per_block = 16 / static_cast<int>(2 * sizeof(T)) * 2;
static_assert(per_block<float> == 4 && per_block<double> == 2);

__device__ inline float unit_sample(const PhiloxBlock& block, int element, float) {
  return unit_float(block.word[element]);
}
__device__ inline double unit_sample(const PhiloxBlock& block, int element, double) {
  return unit_double(block.word[2 * element], block.word[2 * element + 1]);
}

// y[i] = f(u[i], x[i]...) for the samples u of a draw; a thread makes a block of words.
template <typename T, typename F, typename... Inputs>
__global__ void map_samples_kernel(std::uint64_t key, DrawStep drawn, Index n, Index blocks, T* y, F f,
                                   const Inputs*... x) {
  const std::uint64_t step = drawn;
  for (Index b = global_thread(); b < blocks; b += global_threads()) {
    const PhiloxBlock block = philox(key, step, static_cast<std::uint64_t>(b));
#pragma unroll
    for (int j = 0; j < per_block<T>; ++j) {
      const Index i = b * per_block<T> + j;
      if (i < n) y[i] = f(unit_sample(block, j, T{}), x[i]...);
    }
  }
}

template <typename T, typename F, typename... Inputs>
void map_samples(const char* name, std::uint64_t key, std::uint64_t step, Index n, T* y, const F& f,
                 const Inputs*... x) {
  const Index blocks = ceil_div(n, per_block<T>);
  launch(name, map_samples_kernel<T, F, Inputs...>, grid_over(blocks), key, step, n, blocks, y, f, x...);
}

__global__ void words_kernel(std::uint64_t key, DrawStep drawn, std::uint64_t first_block, Index blocks,
                             std::int32_t* words) {
  const std::uint64_t step = drawn;
  for (Index b = global_thread(); b < blocks; b += global_threads()) {
    const PhiloxBlock block = philox(key, step, first_block + static_cast<std::uint64_t>(b));
    for (int j = 0; j < 4; ++j) words[4 * b + j] = static_cast<std::int32_t>(block.word[j]);
  }
}

// A pair of normal samples of mean 0 and variance 1, from the words of their radius and angle (random.h). The angle is
// q quadrants and a rest of at most pi / 4 either way.
template <typename T> struct Pair {
  T even, odd;
};
template <typename T> __device__ Pair<T> by_quadrant(T radius, unsigned quadrants, T rest) {
  const T sine = std::sin(rest), cosine = std::cos(rest);
  const bool swap = (quadrants & 1) != 0;
  const T x = swap ? sine : cosine, y = swap ? cosine : sine;
  return {radius * (((quadrants + 1) & 2) != 0 ? -x : x), radius * ((quadrants & 2) != 0 ? -y : y)};
}
__device__ inline Pair<float> normal_pair(const PhiloxBlock& block, int pair, float) {
  const std::uint32_t radius_word = block.word[2 * pair], angle_word = block.word[2 * pair + 1];
  const float v = static_cast<float>(radius_word >> 1) * 0x1p-31F + 0x1p-32F;
  const std::uint32_t quadrants = (angle_word + (1U << 29)) >> 30;
  const auto rest = static_cast<float>(static_cast<std::int32_t>(angle_word - (quadrants << 30)));
  return by_quadrant(std::sqrt(-2 * std::log(v)), quadrants, rest * 0x1.921fb6p-30F);  // 2 pi 2^-32
}
__device__ inline Pair<double> normal_pair(const PhiloxBlock& block, int, double) {
  const double v = unit_double(block.word[0], block.word[1]) + 0x1p-53;
  const double turns = unit_double(block.word[2], block.word[3]), quarter = std::rint(turns * 4);
  return by_quadrant(std::sqrt(-2 * std::log(v)), static_cast<unsigned>(quarter),
                     (turns - quarter * 0.25) * 0x1.921fb54442d18p2);
}

template <typename T>
__global__ void normal_kernel(std::uint64_t key, DrawStep drawn, Index n, Index blocks, T mean, T std, T* y) {
  const std::uint64_t step = drawn;
  for (Index b = global_thread(); b < blocks; b += global_threads()) {
    const PhiloxBlock block = philox(key, step, static_cast<std::uint64_t>(b));
#pragma unroll
    for (int j = 0; j < per_block<T>; j += 2) {
      const Index i = b * per_block<T> + j;
      const Pair<T> z = normal_pair(block, j / 2, T{});
      if (i < n) y[i] = mean + std * z.even;
      if (i + 1 < n) y[i + 1] = mean + std * z.odd;
    }
  }
}

template <typename T> struct Uniform {
  T low, range, last;
  __device__ T operator()(T u) const {
    const T x = low + range * u;
    return x < last ? x : last;
  }
};
template <typename T> struct Bernoulli {
  __device__ T operator()(T u, T probability) const { return u < probability ? T(1) : T(0); }
};
template <typename T> struct Dropout {
  T scale, threshold;
  __device__ T operator()(T u, T value) const { return value * (u < threshold ? T(0) : scale); }
};

template <typename T> struct OutsideUnitInterval {
  const T* x;
  __device__ bool operator()(Index i) const { return !(x[i] >= T(0) && x[i] <= T(1)); }
};

}  // namespace

void random_words(std::uint64_t key, std::uint64_t step, std::uint64_t first_block, Index blocks, std::int32_t* words) {
  launch("random_words", words_kernel, grid_over(blocks), key, step, first_block, blocks, words);
}

template <typename T> void uniform(std::uint64_t key, std::uint64_t step, Index n, T low, T high, T* y) {
  const T last = low < high ? std::nextafter(high, low) : high;
  map_samples("uniform", key, step, n, y, Uniform<T>{low, high - low, last});
}

template <typename T> void normal(std::uint64_t key, std::uint64_t step, Index n, T mean, T std, T* y) {
  const Index blocks = ceil_div(n, per_block<T>);
  launch("normal", normal_kernel<T>, grid_over(blocks), key, step, n, blocks, mean, std, y);
}

template <typename T> void bernoulli(std::uint64_t key, std::uint64_t step, Index n, const T* p, T* y) {
  map_samples("bernoulli", key, step, n, y, Bernoulli<T>{}, p);
}

template <typename T> void dropout(std::uint64_t key, std::uint64_t step, Index n, T p, const T* x, T* y) {
  const T scale = static_cast<T>(1.0 / (1.0 - static_cast<double>(p)));
  map_samples("dropout", key, step, n, y, Dropout<T>{scale, p}, x);
}

// Each place depends on those before: made on the host.
void permutation(std::uint64_t key, std::uint64_t step, Index n, std::int32_t* y) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  PhiloxBlock block;
  std::uint64_t drawn = 0;  // words taken from the draw
  const auto next_word = [&] {
    if (drawn % 4 == 0) block = philox(key, step, drawn / 4);
    return block.word[drawn++ % 4];
  };
  for (Index i = 1; i < n; ++i) {
    const std::uint32_t bound = static_cast<std::uint32_t>(i + 1);
    std::uint64_t product = std::uint64_t{next_word()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {  // rare: only then can the sample be one of the surplus
      const std::uint32_t surplus = (0U - bound) % bound;
      while (static_cast<std::uint32_t>(product) < surplus) product = std::uint64_t{next_word()} * bound;
    }
    const auto j = static_cast<std::size_t>(product >> 32);
    order[static_cast<std::size_t>(i)] = order[j];
    order[j] = static_cast<std::int32_t>(i);
  }
  copy_from_host(y, order.data(), n * static_cast<Index>(sizeof(std::int32_t)));
}

template <typename T> Index first_outside_unit_interval(Index n, const T* x) {
  return first_where("first_outside_unit_interval", n, OutsideUnitInterval<T>{x});
}

DLCORE_RANDOM_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
