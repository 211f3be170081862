#include "random.h"

#include <atomic>
#include <cmath>
#include <limits>

#include "instances/random.h"
#include "parallel.h"
#include "philox_vec.h"
#include "vecmath.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr Index sample_grain = 16 * draw_chunk;  // about 10 microseconds

// y[i] = f(u[i], inputs[i]...) for the samples u of a draw.
template <typename T, typename F, typename... Inputs>
void map_samples(std::uint64_t key, std::uint64_t step, Index n, T* y, const F& f, const Inputs*... x) {
  parallel_for(n, sample_grain, [&](Index begin, Index end) {
    for_each_sample<T>(key, step, begin, end, [&](Index i, Vec<T> u) {
      if (i + lanes<T> <= end) store(y + i, f(u, load(x + i)...));
      else store_partial(y + i, f(u, load_partial(x + i, end - i)...), end - i);
    });
  });
}

// v in (0, 1] of Box and Muller's radius.
DLCORE_INLINE Vec<float> radius_sample(Vec<std::uint32_t> word) {
  return __builtin_convertvector(bit_cast_vec<Vec<std::int32_t>>(word >> 1), Vec<float>) * 0x1p-31F + 0x1p-32F;
}
DLCORE_INLINE Vec<double> radius_sample(Vec<std::uint64_t> pair) { return unit_sample(pair) + 0x1p-53; }

// A turn as q quadrants, in the low bits, and the rest r, |r| <= pi / 4.
template <typename T> struct Angle {
  Vec<UIntOf<T>> quadrants;
  Vec<T> rest;
};
DLCORE_INLINE Angle<float> angle_sample(Vec<std::uint32_t> word) {
  const Vec<std::uint32_t> quadrants = (word + (1U << 29)) >> 30;
  const auto rest = bit_cast_vec<Vec<std::int32_t>>(word - (quadrants << 30));
  return {quadrants, __builtin_convertvector(rest, Vec<float>) * 0x1.921fb6p-30F};  // 2 pi 2^-32
}
DLCORE_INLINE Angle<double> angle_sample(Vec<std::uint64_t> pair) {
  constexpr double round = 0x1.8p52;  // adding it rounds to an integer and puts that into the low bits
  const Vec<double> turns = unit_sample(pair), shifted = turns * 4 + round;
  return {bit_cast_vec<Vec<std::uint64_t>>(shifted), (turns - (shifted - round) * 0.25) * 0x1.921fb54442d18p2};
}

// sin and cos for |x| <= pi / 4: the polynomials of Cephes (Moshier, 1992), sinf.c and sin.c.
DLCORE_INLINE Vec<float> sine(Vec<float> x, Vec<float> s) {
  return x + x * s * ((-1.9515295891e-4F * s + 8.3321608736e-3F) * s - 1.6666654611e-1F);
}
DLCORE_INLINE Vec<float> cosine(Vec<float> s) {
  return s * s * ((2.443315711809948e-5F * s - 1.388731625493765e-3F) * s + 4.166664568298827e-2F) - 0.5F * s + 1;
}
DLCORE_INLINE Vec<double> sine(Vec<double> x, Vec<double> s) {
  return x + x * s *
                 (((((1.58962301576546568060e-10 * s - 2.50507477628578072866e-8) * s + 2.75573136213857245213e-6) * s -
                    1.98412698295895385996e-4) *
                       s +
                   8.33333333332211858878e-3) *
                      s -
                  1.66666666666666307295e-1);
}
DLCORE_INLINE Vec<double> cosine(Vec<double> s) {
  return s * s *
             (((((-1.13585365213876817300e-11 * s + 2.08757008419747316778e-9) * s - 2.75573141792967388112e-7) * s +
                2.48015872888517045348e-5) *
                   s -
               1.38888888888730564116e-3) *
                  s +
              4.16666666666665929218e-2) -
         0.5 * s + 1;
}

// One vector of pairs of normal samples, from the words of their radii and angles.
template <typename T>
DLCORE_INLINE void box_muller(Vec<UIntOf<T>> radius_bits, Vec<UIntOf<T>> angle_bits, T mean, T std, T* even, T* odd) {
  constexpr int sign = 8 * sizeof(T) - 1;
  const Vec<T> square = -2 * vlog<T>(radius_sample(radius_bits));
  Vec<T> radius;
  for (int i = 0; i < lanes<T>; ++i) radius[i] = std::sqrt(square[i]);
  const Angle<T> angle = angle_sample(angle_bits);
  const Vec<T> s = angle.rest * angle.rest, sin_rest = sine(angle.rest, s), cos_rest = cosine(s);
  const auto swap = (angle.quadrants & 1) != 0;
  const auto sin_sign = (angle.quadrants >> 1) << sign, cos_sign = ((angle.quadrants + 1) >> 1) << sign;
  const auto signed_by = [](Vec<T> x, Vec<UIntOf<T>> bit) {
    return bit_cast_vec<Vec<T>>(bit_cast_vec<Vec<UIntOf<T>>>(x) ^ bit);
  };
  store(even, mean + std * (radius * signed_by(swap ? sin_rest : cos_rest, cos_sign)));
  store(odd, mean + std * (radius * signed_by(swap ? cos_rest : sin_rest, sin_sign)));
}

// Elements first .. first + count; first is even.
template <typename T>
void normal_chunk(std::uint64_t key, std::uint64_t step, Index first, Index count, T mean, T std, T* y) {
  using Bits = UIntOf<T>;
  constexpr Index half = draw_chunk / 2;
  WordBuffer<T> buffer;
  const std::uint32_t* words = draw_words<T>(key, step, first, round_up(count, 2 * lanes<T>), buffer);
  alignas(64) Bits radius_bits[half], angle_bits[half];
  alignas(64) T even[half], odd[half];
  const Index pairs = round_up(ceil_div(count, 2), lanes<T>);
  for (Index j = 0; j < pairs; ++j) {
    Bits pair[2];
    std::memcpy(pair, words + 2 * j * words_per_element<T>, sizeof pair);
    radius_bits[j] = pair[0];
    angle_bits[j] = pair[1];
  }
  for (Index j = 0; j < pairs; j += lanes<T>)
    box_muller<T>(load(radius_bits + j), load(angle_bits + j), mean, std, even + j, odd + j);
  for (Index j = 0; j < count / 2; ++j) {
    y[2 * j] = even[j];
    y[2 * j + 1] = odd[j];
  }
  if (count % 2) y[count - 1] = even[count / 2];
}

// True if all of x[0..count) lie in [0, 1].
template <typename T> bool all_in_unit_interval(Index count, const T* x) {
  auto inside = Vec<T>{} == Vec<T>{};
  Index i = 0;
  for (; i + lanes<T> <= count; i += lanes<T>) {
    const Vec<T> v = load(x + i);
    inside &= (v >= Vec<T>{}) & (v <= splat<T>(1));
  }
  if (i < count) {
    const Vec<T> v = load_partial(x + i, count - i);
    inside &= (v >= Vec<T>{}) & (v <= splat<T>(1));
  }
  bool all = true;
  for (int lane = 0; lane < lanes<T>; ++lane) all &= inside[lane] != 0;
  return all;
}

}  // namespace

void random_words(std::uint64_t key, std::uint64_t step, std::uint64_t first_block, Index blocks, std::int32_t* words) {
  constexpr Index chunk = draw_chunk / 4;
  parallel_for(blocks, sample_grain / 4, [=](Index begin, Index end) {
    WordBuffer<float> buffer;
    for (Index first = begin; first < end; first += chunk) {
      const Index count = end - first < chunk ? end - first : chunk;
      philox_words(key, step, first_block + static_cast<std::uint64_t>(first), count, buffer.words);
      std::memcpy(words + 4 * first, buffer.words, static_cast<std::size_t>(count) * 16);
    }
  });
}

template <typename T> void uniform(std::uint64_t key, std::uint64_t step, Index n, T low, T high, T* y) {
  const T range = high - low;
  const Vec<T> last = splat<T>(low < high ? std::nextafter(high, low) : high);
  map_samples(key, step, n, y, [=](Vec<T> u) {
    const Vec<T> x = low + range * u;
    return x < last ? x : last;
  });
}

template <typename T> void normal(std::uint64_t key, std::uint64_t step, Index n, T mean, T std, T* y) {
  parallel_for(n, sample_grain, [=](Index begin, Index end) {
    for (Index first = begin; first < end; first += draw_chunk)
      normal_chunk(key, step, first, end - first < draw_chunk ? end - first : draw_chunk, mean, std, y + first);
  });
}

template <typename T> void bernoulli(std::uint64_t key, std::uint64_t step, Index n, const T* p, T* y) {
  map_samples(
      key, step, n, y, [](Vec<T> u, Vec<T> probability) { return u < probability ? splat<T>(1) : Vec<T>{}; }, p);
}

template <typename T> void dropout(std::uint64_t key, std::uint64_t step, Index n, T p, const T* x, T* y) {
  const Vec<T> scale = splat<T>(static_cast<T>(1.0 / (1.0 - static_cast<double>(p)))), threshold = splat<T>(p);
  map_samples(key, step, n, y, [=](Vec<T> u, Vec<T> value) { return value * (u < threshold ? Vec<T>{} : scale); }, x);
}

void permutation(std::uint64_t key, std::uint64_t step, Index n, std::int32_t* y) {
  WordBuffer<float> buffer;
  const std::uint32_t* words = nullptr;
  Index drawn = 0;  // words taken from the draw
  const auto next_word = [&] {
    if (drawn % draw_chunk == 0) words = draw_words<float>(key, step, drawn, draw_chunk, buffer);
    return words[drawn++ % draw_chunk];
  };
  if (n > 0) y[0] = 0;
  for (Index i = 1; i < n; ++i) {
    const std::uint32_t bound = static_cast<std::uint32_t>(i + 1);
    std::uint64_t product = std::uint64_t{next_word()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {  // rare: only then can the sample be one of the surplus
      const std::uint32_t surplus = (0U - bound) % bound;
      while (static_cast<std::uint32_t>(product) < surplus) product = std::uint64_t{next_word()} * bound;
    }
    const Index j = static_cast<Index>(product >> 32);
    y[i] = y[j];
    y[j] = static_cast<std::int32_t>(i);
  }
}

template <typename T> Index first_outside_unit_interval(Index n, const T* x) {
  std::atomic<Index> found{n};
  parallel_for(n, elementwise_grain, [&](Index begin, Index end) {
    constexpr Index block = 4096;
    for (Index first = begin; first < end; first += block) {
      const Index count = end - first < block ? end - first : block;
      if (all_in_unit_interval(count, x + first)) continue;
      Index i = first;
      const Index last = first + count - 1;  // a bound where another thread changes x meanwhile
      while (i < last && x[i] >= 0 && x[i] <= 1) ++i;
      Index least = found.load(std::memory_order_relaxed);
      while (i < least && !found.compare_exchange_weak(least, i, std::memory_order_relaxed)) {}
      return;
    }
  });
  return found.load();
}

DLCORE_RANDOM_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
