// float32 panels as sums of bfloat16 tiles: x = high + middle + low, each rounded to the nearest of 8 bits, so that 24
// bits need three and nothing is lost. A product keeps high high, high middle, middle high, high low, middle middle and
// low high; what it drops is at most 2^-24 of |a b|, and nothing where a b needs no more than 24 bits.
//
// The depth goes in steps of 32: word r of a step holds elements r (low half) and r + 16 (high half), in the rows of A
// and the columns of B alike.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "../types.h"
#include "../vec.h"
#include "amx.h"

namespace dlcore::DLCORE_DEVICE {

inline constexpr Index panel_side = 2 * tile_side;  // rows of A, or columns of B
inline constexpr int most_parts = 3;
// A step of a panel: parts, of each two tiles.
inline constexpr Index part_words = 2 * tile_words, step_words = most_parts * part_words;

// What the magnitudes of a panel's elements say about it; as the bits of a float32 without its sign, they are ordered
// like the numbers.
struct PanelRange {
  std::uint32_t least = ~0u;  // of those that are not 0
  std::uint32_t most = 0;
  int parts = 1;  // that are not all 0

  int least_exponent() const { return static_cast<int>(least >> 23); }  // biased by 127; denormals: 0
  int most_exponent() const { return static_cast<int>(most >> 23); }
  // An infinity, a NaN, or what rounds to an infinity.
  bool is_wild() const { return most >= 0x7f7f8000u; }
};

// Splits elements and gathers their range.
class Splitter {
  using Floats = Vec<float>;
  typedef std::uint32_t Words __attribute__((vector_size(vector_bytes)));

 public:
  // Elements lanes<float> each: those of one place of a step and of 16 places on.
  DLCORE_INLINE void split(Floats first, Floats second, std::uint32_t* to) {
    watch(first);
    watch(second);
    put(high(first), high(second), to);
    const Floats first_rest = first - as_floats(high(first)), second_rest = second - as_floats(high(second));
    const Words first_middle = high(first_rest), second_middle = high(second_rest);
    middle_ |= put(first_middle, second_middle, to + part_words);
    // Of 8 bits already, unless it is denormal.
    low_ |= put(as_words(first_rest - as_floats(first_middle)),
                as_words(second_rest - as_floats(second_middle)) & 0xffff0000u, to + 2 * part_words);
  }

  PanelRange range() const {
    PanelRange range;
    std::uint32_t values[4][lanes<float>];
    std::memcpy(values[0], &least_, sizeof values[0]);
    std::memcpy(values[1], &most_, sizeof values[1]);
    std::memcpy(values[2], &middle_, sizeof values[2]);
    std::memcpy(values[3], &low_, sizeof values[3]);
    for (int lane = 0; lane < lanes<float>; ++lane) {
      range.least = std::min(range.least, values[0][lane]);
      range.most = std::max(range.most, values[1][lane]);
      if (values[2][lane]) range.parts = std::max(range.parts, 2);
      if (values[3][lane]) range.parts = 3;
    }
    return range;
  }

 private:
  static DLCORE_INLINE Words as_words(Floats x) { return bit_cast_vec<Words>(x); }
  static DLCORE_INLINE Floats as_floats(Words x) { return bit_cast_vec<Floats>(x); }
  // The nearest float32 of 8 bits, away from 0 in the middle.
  static DLCORE_INLINE Words high(Floats x) { return (as_words(x) + 0x8000u) & 0xffff0000u; }
  static DLCORE_INLINE Words put(Words first, Words second, std::uint32_t* to) {
    const Words pair = first >> 16 | second;
    std::memcpy(to, &pair, sizeof pair);
    return pair;
  }
  DLCORE_INLINE void watch(Floats x) {
    const Words size = as_words(x) & 0x7fffffffu;
    const Words beyond = size - 1u;  // 0 comes last
    least_ = beyond < least_ ? beyond : least_;
    most_ = size > most_ ? size : most_;
  }

  Words least_ = ~Words{}, most_{}, middle_{}, low_{};
};

// One step of up to 32 rows; element (i, p) is from[i * stride + p], p < 32.
DLCORE_INLINE void split_rows(Index rows, const float* from, Index stride, std::uint32_t* to, Splitter& splitter) {
  for (Index i = 0; i < rows; ++i, from += stride, to += tile_side)
    for (Index p = 0; p < tile_side; p += lanes<float>)
      splitter.split(load(from + p), load(from + p + tile_side), to + p);
}

// One step of up to 32 columns, whole vectors; element (p, j) is from[p * stride + j], p < 32.
DLCORE_INLINE void split_columns(Index columns, const float* from, Index stride, std::uint32_t* to,
                                 Splitter& splitter) {
  for (Index r = 0; r < tile_side; ++r, from += stride)
    for (Index j = 0; j < columns; j += lanes<float>)
      splitter.split(load(from + j), load(from + tile_side * stride + j),
                     to + j / tile_side * tile_words + r * tile_side + j % tile_side);
}

// How a tile of C comes about.
enum class Way {
  tiles,          // nothing in it can overflow or underflow that float32 arithmetic would keep
  tiles_checked,  // small numbers may be lost beside large ones: only sums of the size `floor` are good
  plain           // the float32 kernel
};

// A depth of at most 256 is summed at once.
inline Way way_of(const PanelRange& a, const PanelRange& b, float& floor) {
  if (a.is_wild() || b.is_wild()) return Way::plain;
  // |sum| < 256 * 2^(ea + 1) * 2^(eb + 1) * (what parts are rounded up by) <= 2^127
  if (a.most_exponent() + b.most_exponent() > 2 * 127 + 116) return Way::plain;
  // The last bit of an element is worth 2^(e - 23): parts are at least that, and all sums multiples of 2^(ea + eb -
  // 46).
  const int least_part = 127 - 126 + 23, least_sum = 2 * 127 - 126 + 46;
  if (a.least_exponent() >= least_part && b.least_exponent() >= least_part &&
      a.least_exponent() + b.least_exponent() >= least_sum)
    return Way::tiles;
  // Lost are, at most, 2^-126 in each of 2^11 operations, and in each part of 256 elements times the largest element of
  // the other matrix: together less than 2^-113 times that. In a sum 2^26 times as large it is a quarter of a rounding.
  const int largest = std::max({0, a.most_exponent() - 126, b.most_exponent() - 126});
  floor = std::ldexp(1.0f, largest - 87);
  return a.most_exponent() + b.most_exponent() - 2 * 127 + 10 < largest - 87 ? Way::plain : Way::tiles_checked;
}

}  // namespace dlcore::DLCORE_DEVICE
