// Random arrays. A sample is a function of (key, step, element index) alone: not of threads, not of the device.
//
// Philox4x32-10 makes the words (philox.h): word w of a draw is word w % 4 of block w / 4, where the counter is (block,
// step). A float32 element i is made of word i: u = (word >> 8) 2^-24; a float64 element i of words 2i and 2i + 1:
// u = ((word[2i] 2^32 + word[2i + 1]) >> 11) 2^-53. Words and u are the same everywhere; results of log, sin and cos
// agree between instruction sets and devices up to rounding.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// The words of blocks first_block .. first_block + blocks, four each: what all samples are made of.
void random_words(std::uint64_t key, std::uint64_t step, std::uint64_t first_block, Index blocks, std::int32_t* words);

// low + (high - low) u, kept below high (where low < high) although rounding may reach it.
template <typename T> void uniform(std::uint64_t key, std::uint64_t step, Index n, T low, T high, T* y);

// mean + std z by Box and Muller (1958): elements 2j and 2j + 1 are r cos(a) and r sin(a), r = sqrt(-2 ln v), where v
// is made of the words of element 2j and a of those of 2j + 1. float32: v = (word >> 1) 2^-31 + 2^-32 (both terms and
// the sum rounded to float32), a = 2 pi word 2^-32; |z| <= 6.67, error of z below 4 units in the last place of max(|z|,
// r / 4). float64: v = u + 2^-53, a = 2 pi u; |z| <= 8.58, the same bound.
template <typename T> void normal(std::uint64_t key, std::uint64_t step, Index n, T mean, T std, T* y);

// y = 1 where u < p, else 0. A probability counts to the resolution of u: 2^-24 or 2^-53.
template <typename T> void bernoulli(std::uint64_t key, std::uint64_t step, Index n, const T* p, T* y);

// y = x / (1 - p) where u >= p, else x * 0. x may be y.
template <typename T> void dropout(std::uint64_t key, std::uint64_t step, Index n, T p, const T* x, T* y);

// The inside-out shuffle of Fisher, Yates and Durstenfeld, serial; indices by Lemire's unbiased method (2019, "Fast
// random integer generation in an interval") from the words of the draw in their order. n < 2^31.
void permutation(std::uint64_t key, std::uint64_t step, Index n, std::int32_t* y);

// Index of the first element that is not in [0, 1] (NaN is not), or n.
template <typename T> Index first_outside_unit_interval(Index n, const T* x);

}  // namespace dlcore::DLCORE_DEVICE
