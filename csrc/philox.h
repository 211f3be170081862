// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): a random block is a
// function of a 64-bit key and a 128-bit counter. One header for host and device. dlcore's counter is
// (block index, step), 64 bits each, low word first: element i of a draw is word i % 4 of block i / 4.
#pragma once

#include "types.h"

#ifdef __CUDACC__
#define DLCORE_HOST_DEVICE __host__ __device__
#else
#define DLCORE_HOST_DEVICE
#endif

namespace dlcore::DLCORE_DEVICE {

struct PhiloxBlock {
  std::uint32_t word[4];
};

DLCORE_HOST_DEVICE inline PhiloxBlock philox(std::uint64_t key, std::uint64_t step, std::uint64_t block) {
  std::uint32_t c0 = static_cast<std::uint32_t>(block), c1 = static_cast<std::uint32_t>(block >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(step), c3 = static_cast<std::uint32_t>(step >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {{c0, c1, c2, c3}};
}

// The 24 high bits as a multiple of 2^-24 in [0, 1); float64 takes 53 bits of two words.
DLCORE_HOST_DEVICE inline float unit_float(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }
DLCORE_HOST_DEVICE inline double unit_double(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (static_cast<std::uint64_t>(high) << 32 | low) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace dlcore::DLCORE_DEVICE
