// Tensor cores: mma.sync.m16n8k16 of bfloat16, added in float32 (PTX ISA, "Matrix fragments for mma.m16n8k16 with
// floating point type"). With g = lane / 4 and t = lane % 4 a lane holds, two numbers a register, the first low:
//   A (16 x 16)  rows g, g + 8, g, g + 8 of columns 2t, 2t + 1 (first two registers) and 2t + 8, 2t + 9 (last two)
//   B (16 x 8)   rows 2t, 2t + 1 and 2t + 8, 2t + 9 of column g
//   D (16 x 8)   columns 2t, 2t + 1 of row g, and of row g + 8
#pragma once

#include "launch.cuh"

namespace dlcore::DLCORE_DEVICE {

__device__ inline float of_bfloat16(unsigned bits) { return __uint_as_float(bits << 16); }

// d += a b
__device__ inline void multiply_fragments(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifdef __CUDACC__
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  struct Fragments {
    unsigned a[4], b[2];
  };
  const Fragments mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const unsigned char* const lanes = emulate::gather(full_warp, &mine, sizeof mine);
  const int g = emulate::lane() / 4, t = emulate::lane() % 4;
  const auto half = [](unsigned pair, int k) { return of_bfloat16(k % 2 == 0 ? pair & 0xffffU : pair >> 16); };
  double sum[4] = {d[0], d[1], d[2], d[3]};
  for (int k = 0; k < 16; ++k) {
    const int pair = k % 8 / 2, upper = k / 8;
    const auto row = emulate::from_lane<Fragments>(lanes, 4 * g + pair);
    for (int column = 0; column < 2; ++column) {
      const auto of = emulate::from_lane<Fragments>(lanes, 4 * (2 * t + column) + pair);
      const double y = static_cast<double>(half(of.b[upper], k));
      sum[column] += static_cast<double>(half(row.a[2 * upper], k)) * y;
      sum[2 + column] += static_cast<double>(half(row.a[2 * upper + 1], k)) * y;
    }
  }
  for (int i = 0; i < 4; ++i) d[i] = static_cast<float>(sum[i]);
#endif
}

}  // namespace dlcore::DLCORE_DEVICE
