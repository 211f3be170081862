// Philox4x32-10 on vectors: the words of philox.h, several blocks at a time, and the stream of samples made of them.
// Word w of a draw is word w % 4 of block w / 4. A float32 element takes one word, a float64 element two (2i and 2i+1).
#pragma once

#include "philox.h"
#include "vec.h"

namespace dlcore::DLCORE_DEVICE {

namespace philox_detail {

using Wide = Vec<std::uint64_t>;  // a 32-bit number in the low half of each lane; the high half is never looked at
inline constexpr int wide_lanes = lanes<std::uint64_t>;
typedef std::uint64_t Pair __attribute__((may_alias, aligned(4)));  // two words, the first in the low half
inline constexpr int group = 2;  // vectors in flight: two hide the latency of the multiplication

// 32 x 32 -> 64 bits. GCC makes three products of a 64-bit one, so it is told the instruction; Clang finds it.
DLCORE_INLINE Wide multiply_low_halves(Wide a, Wide b) {
#if defined(__GNUC__) && !defined(__clang__) && defined(__SSE2__) && !defined(DLCORE_VECTOR_BYTES)
  using Narrow = Vec<std::int32_t>;
  const auto x = bit_cast_vec<Narrow>(a), y = bit_cast_vec<Narrow>(b);
#if defined(__AVX512F__)
  typedef long long Product __attribute__((vector_size(64)));
  return bit_cast_vec<Wide>(__builtin_ia32_pmuludq512_mask(x, y, Product{}, 0xff));
#elif defined(__AVX2__)
  return bit_cast_vec<Wide>(__builtin_ia32_pmuludq256(x, y));
#else
  return bit_cast_vec<Wide>(__builtin_ia32_pmuludq128(x, y));
#endif
#else
  return (a & 0xffffffffU) * (b & 0xffffffffU);
#endif
}

}  // namespace philox_detail

// Blocks made at a time; word buffers have room for a whole number of them.
inline constexpr int philox_group = philox_detail::group * philox_detail::wide_lanes;

// words[0 .. 4 * round_up(blocks, philox_group)) of blocks first_block, first_block + 1, ...
inline void philox_words(std::uint64_t key, std::uint64_t step, std::uint64_t first_block, Index blocks,
                         std::uint32_t* words) {
  using namespace philox_detail;
  const Wide multiplier0 = splat<std::uint64_t>(0xD2511F53), multiplier1 = splat<std::uint64_t>(0xCD9E8D57);
  std::uint64_t ramp[wide_lanes];
  for (int i = 0; i < wide_lanes; ++i) ramp[i] = static_cast<std::uint64_t>(i);
  const Wide lane = load(ramp);
  for (Index done = 0; done < blocks; done += philox_group) {
    Wide c0[group], c1[group], c2[group], c3[group];
    for (int g = 0; g < group; ++g) {
      c0[g] = lane + (first_block + static_cast<std::uint64_t>(done) + static_cast<std::uint64_t>(g * wide_lanes));
      c1[g] = c0[g] >> 32;
      c2[g] = splat<std::uint64_t>(step);
      c3[g] = splat<std::uint64_t>(step >> 32);
    }
    std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const Wide key0 = splat<std::uint64_t>(k0), key1 = splat<std::uint64_t>(k1);
      for (int g = 0; g < group; ++g) {
        const Wide p0 = multiply_low_halves(multiplier0, c0[g]), p1 = multiply_low_halves(multiplier1, c2[g]);
        c0[g] = (p1 >> 32) ^ (c1[g] ^ key0);
        c2[g] = (p0 >> 32) ^ (c3[g] ^ key1);
        c1[g] = p1;
        c3[g] = p0;
      }
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    for (int g = 0; g < group; ++g) {
      const Wide low = (c0[g] & 0xffffffffU) | (c1[g] << 32), high = (c2[g] & 0xffffffffU) | (c3[g] << 32);
      Pair* out = reinterpret_cast<Pair*>(words + 4 * (done + g * wide_lanes));
      for (int i = 0; i < wide_lanes; ++i) {
        out[2 * i] = low[i];
        out[2 * i + 1] = high[i];
      }
    }
  }
}

// Elements drawn at a time, and the words behind them with the slack of a start within a block.
inline constexpr Index draw_chunk = 512;
template <typename T> inline constexpr Index words_per_element = static_cast<Index>(sizeof(T) / 4);
template <typename T> struct WordBuffer {
  alignas(64) std::uint32_t words[draw_chunk * words_per_element<T> + 4 + 4 * philox_group];
};

// The words of elements first, first + 1, ... of a draw; count <= draw_chunk. Behind the last come defined words, so
// vectors may read on to the next multiple of their length.
template <typename T>
inline const std::uint32_t* draw_words(std::uint64_t key, std::uint64_t step, Index first, Index count,
                                       WordBuffer<T>& buffer) {
  const Index first_word = first * words_per_element<T>, skipped = first_word % 4;
  philox_words(key, step, static_cast<std::uint64_t>(first_word / 4),
               ceil_div(skipped + round_up(count, lanes<T>) * words_per_element<T>, 4), buffer.words);
  return buffer.words + skipped;
}

// Numbers below 2^52 to double: they are the low bits of the mantissa of 2^52 + number.
DLCORE_INLINE Vec<double> to_double(Vec<std::uint64_t> number) {
  return bit_cast_vec<Vec<double>>(number | 0x4330000000000000U) - 0x1p52;
}

// One vector of samples in [0, 1), as unit_float and unit_double make them; a float64 lane holds its two words, the
// first in the low half.
DLCORE_INLINE Vec<float> unit_sample(Vec<std::uint32_t> word) {
  return __builtin_convertvector(bit_cast_vec<Vec<std::int32_t>>(word >> 8), Vec<float>) * 0x1p-24F;
}
DLCORE_INLINE Vec<double> unit_sample(Vec<std::uint64_t> pair) {
  return to_double(pair & 0xffffffffU) * 0x1p-32 + to_double(pair >> 43) * 0x1p-53;  // exact: 53 bits
}

template <typename T> DLCORE_INLINE Vec<T> load_unit_samples(const std::uint32_t* words) {
  Vec<UIntOf<T>> bits;
  std::memcpy(&bits, words, sizeof bits);
  return unit_sample(bits);
}

// Calls body(i, u) with the samples of elements i .. i + lanes<T> for [begin, end); the last vector may pass `end`.
template <typename T, typename Body>
DLCORE_INLINE void for_each_sample(std::uint64_t key, std::uint64_t step, Index begin, Index end, const Body& body) {
  WordBuffer<T> buffer;
  for (Index first = begin; first < end; first += draw_chunk) {
    const Index count = end - first < draw_chunk ? end - first : draw_chunk;
    const std::uint32_t* words = draw_words<T>(key, step, first, count, buffer);
    for (Index i = 0; i < count; i += lanes<T>) body(first + i, load_unit_samples<T>(words + i * words_per_element<T>));
  }
}

}  // namespace dlcore::DLCORE_DEVICE
