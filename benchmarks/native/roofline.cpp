// What this processor can do at most, and the same memory streams as an Adam step: called from bench_roofline.py and
// bench_optimizer.py, compiled there for this machine. Every function does its work on `threads` threads.
#include <omp.h>

#include <cstddef>
#include <cstdint>

#if defined(__AMX_BF16__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int width = 16;
#elif defined(__AVX__)
constexpr int width = 8;
#else
constexpr int width = 4;
#endif
using Vector = float __attribute__((vector_size(width * sizeof(float))));

}  // namespace

extern "C" {

// Independent multiply-adds in registers; the number of operations done.
double fused_multiply_adds(std::int64_t rounds, int threads) {
  constexpr int chains = 12;  // latency 4 times 2 units, and some to spare
  double kept = 0;
#pragma omp parallel num_threads(threads) reduction(+ : kept)
  {
    Vector sums[chains];
    Vector a, b;
    for (int j = 0; j < width; ++j) a[j] = 0.999F, b[j] = 1e-3F;
    for (auto& sum : sums) sum = b;
    for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
      for (int c = 0; c < chains; ++c) sums[c] = sums[c] * a + b;
    }
    for (auto& sum : sums) kept += static_cast<double>(sum[0]);
  }
  return kept == 0 ? 0 : 2.0 * chains * width * static_cast<double>(rounds) * threads;
}

// Tile products of bfloat16 in registers; the number of operations done, 0 where there are no such units.
double tile_products(std::int64_t rounds, int threads) {
#if defined(__AMX_BF16__) && defined(__linux__)
  constexpr int ask_for_permission = 0x1023, tile_data = 18;
  if (syscall(SYS_arch_prctl, ask_for_permission, tile_data) != 0) return 0;
#pragma omp parallel num_threads(threads)
  {
    alignas(64) unsigned char config[64] = {1};
    for (int tile = 0; tile < 8; ++tile) {
      config[16 + 2 * tile] = 64;  // bytes of a row
      config[48 + tile] = 16;      // rows
    }
    _tile_loadconfig(config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    for (std::int64_t i = 0; i < rounds; ++i) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
  }
  return 4.0 * 2 * 16 * 16 * 32 * static_cast<double>(rounds) * threads;
#else
  static_cast<void>(rounds), static_cast<void>(threads);
  return 0;
#endif
}

// STREAM's triad a = b + s c: two arrays read, one written.
void triad(float* a, const float* b, const float* c, std::int64_t n, int threads) {
#pragma omp parallel for simd num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i) a[i] = b[i] + 3.0F * c[i];
}

// The streams of an Adam step and hardly any arithmetic: four arrays read, three of them written.
void adam_streams(float* theta, const float* g, float* m, float* v, std::int64_t n, int threads) {
#pragma omp parallel for simd num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < n; ++i) {
    m[i] = 0.9F * m[i] + g[i];
    v[i] = 0.9F * v[i] + g[i];
    theta[i] = theta[i] - 1e-6F * m[i];
  }
}

}  // extern "C"
