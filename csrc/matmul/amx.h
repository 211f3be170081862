// The tile unit of processors with AMX: the only file that knows its instructions. DLCORE_AMX_EMULATED replaces them by
// a model with the same bits, for tests on processors without them.
//
// Eight tile registers: four sums (16 x 16 float32), two tiles of rows (16 x 32 bfloat16, as pairs along the depth) and
// two of columns (16 pairs of the depth x 16). sum[i][j] += rows[i] columns[j]; `configure` says how many rows the two
// tiles of rows have in all, 1 to 32: the first as many as it can.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(DLCORE_AMX)
#include <immintrin.h>
#endif

#include "../types.h"

namespace dlcore::DLCORE_DEVICE {

inline constexpr Index tile_side = 16;   // rows and columns of a sum
inline constexpr Index tile_depth = 32;  // summed over by one multiplication
inline constexpr Index tile_words = tile_side * tile_side;

#if defined(__x86_64__) && defined(__linux__)
namespace detail {
inline constexpr long ask_supported = 0x1021, ask_permission = 0x1023;  // of arch_prctl: ARCH_*_XCOMP_*
inline constexpr unsigned long tile_data = 18;                          // the state that a process must ask for
}  // namespace detail

// Whether the processor multiplies tiles of bfloat16 and the system saves them for a process that asks.
inline bool processor_has_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return false;  // AMX-BF16, AMX-TILE
  unsigned long states = 0;
  return syscall(SYS_arch_prctl, detail::ask_supported, &states) == 0 && (states >> detail::tile_data & 1);
}

// Asks the system for the tiles, once for the process: from then on its signal stacks must be larger, so that only who
// uses them does so.
inline bool request_tiles() {
#if defined(DLCORE_AMX_EMULATED)
  return true;
#else
  return syscall(SYS_arch_prctl, detail::ask_permission, detail::tile_data) == 0;
#endif
}
#else
inline bool processor_has_tiles() { return false; }
inline bool request_tiles() { return false; }
#endif

#if defined(DLCORE_AMX)
#if defined(DLCORE_AMX_EMULATED)
// TDPBF16PS as its documentation writes it down: for each sum, pairs of the depth are multiplied into two chains, which
// are added to each other and then to the sum. Every operation is a fused one in float32, rounded to nearest, with
// denormal operands and results taken for zero.
class Tiles {
 public:
  static void configure(Index rows) {
    state().rows[0] = std::min(rows, tile_side);
    state().rows[1] = rows - state().rows[0];
  }
  static void release() { std::memset(&state(), 0xff, sizeof(State)); }  // NaN, should anything read it
  template <int i, int j> static void zero() { std::memset(state().sum[i][j], 0, sizeof state().sum[i][j]); }
  template <int i> static void load_rows(const std::uint32_t* from) {
    std::memcpy(state().left[i], from, static_cast<std::size_t>(state().rows[i] * tile_side) * sizeof *from);
  }
  template <int j> static void load_columns(const std::uint32_t* from) {
    std::memcpy(state().right[j], from, sizeof state().right[j]);
  }
  template <int i, int j> static void multiply() {
    const unsigned control = _mm_getcsr();
    _mm_setcsr(0x9fc0);  // exceptions masked, round to nearest, flush to zero, denormals are zeros
    for (Index m = 0; m < state().rows[i]; ++m)
      add_row(state().left[i] + m * tile_side, state().right[j], state().sum[i][j] + m * tile_side);
    _mm_setcsr(control);
  }
  template <int i, int j> static void store(float* to, Index stride) {
    for (Index m = 0; m < state().rows[i]; ++m)
      std::memcpy(to + m * stride, state().sum[i][j] + m * tile_side, tile_side * sizeof(float));
  }

 private:
  struct State {
    Index rows[2];
    float sum[2][2][tile_words];
    std::uint32_t left[2][tile_words], right[2][tile_words];
  };
  static State& state() {
    static thread_local State tiles;
    return tiles;
  }

  __attribute__((noinline)) static void add_row(const std::uint32_t* left, const std::uint32_t* right, float* sum) {
    const __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    for (Index n = 0; n < tile_side; n += 8) {
      __m256 even = _mm256_setzero_ps(), odd = even;
      for (Index k = 0; k < tile_side; ++k) {
        const __m256i a = _mm256_set1_epi32(static_cast<int>(left[k]));
        const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(right + k * tile_side + n));
        even = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)),
                               _mm256_castsi256_ps(_mm256_slli_epi32(b, 16)), even);
        odd = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(a, high)),
                              _mm256_castsi256_ps(_mm256_and_si256(b, high)), odd);
      }
      _mm256_storeu_ps(sum + n, _mm256_add_ps(_mm256_loadu_ps(sum + n), _mm256_add_ps(even, odd)));
    }
  }
};

#else
// The intrinsics want register numbers as literals, and tell some compilers nothing of the memory they read.
class Tiles {
 public:
  // Sums 0 1 (upper rows) and 2 3 (lower rows), rows 4 5, columns 6 7.
  static void configure(Index rows) {
    struct alignas(64) {
      std::uint8_t palette, start_row, reserved[14];
      std::uint16_t row_bytes[16];
      std::uint8_t rows[16];
    } config{};
    static_assert(sizeof config == 64);
    config.palette = 1;
    const auto upper = static_cast<std::uint8_t>(std::min(rows, tile_side));
    const auto lower = static_cast<std::uint8_t>(rows - upper);
    const std::uint8_t heights[8] = {upper, upper, lower, lower, upper, lower, tile_side, tile_side};
    for (int i = 0; i < 8; ++i) {
      config.rows[i] = heights[i];
      config.row_bytes[i] = heights[i] > 0 ? 64 : 0;
    }
    fence();
    _tile_loadconfig(&config);
    fence();
  }
  static void release() { _tile_release(); }
  template <int i, int j> static void zero() {
    if constexpr (i == 0 && j == 0) _tile_zero(0);
    else if constexpr (i == 0) _tile_zero(1);
    else if constexpr (j == 0) _tile_zero(2);
    else _tile_zero(3);
  }
  template <int i> static void load_rows(const std::uint32_t* from) {
    fence();
    if constexpr (i == 0) _tile_loadd(4, from, 64);
    else _tile_loadd(5, from, 64);
  }
  template <int j> static void load_columns(const std::uint32_t* from) {
    fence();
    if constexpr (j == 0) _tile_loadd(6, from, 64);
    else _tile_loadd(7, from, 64);
  }
  template <int i, int j> static void multiply() {
    if constexpr (i == 0 && j == 0) _tile_dpbf16ps(0, 4, 6);
    else if constexpr (i == 0) _tile_dpbf16ps(1, 4, 7);
    else if constexpr (j == 0) _tile_dpbf16ps(2, 5, 6);
    else _tile_dpbf16ps(3, 5, 7);
  }
  template <int i, int j> static void store(float* to, Index stride) {
    const Index bytes = stride * static_cast<Index>(sizeof(float));
    if constexpr (i == 0 && j == 0) _tile_stored(0, to, bytes);
    else if constexpr (i == 0) _tile_stored(1, to, bytes);
    else if constexpr (j == 0) _tile_stored(2, to, bytes);
    else _tile_stored(3, to, bytes);
    fence();
  }

 private:
  static void fence() { asm volatile("" ::: "memory"); }
};
#endif
#endif

}  // namespace dlcore::DLCORE_DEVICE
