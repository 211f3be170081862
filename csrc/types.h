// Element types, shapes and the device namespace that every other header stands on.
#pragma once

#include <cstdint>

#ifndef DLCORE_DEVICE
#error "DLCORE_DEVICE names the device module being built (cpu_generic, cpu_avx2, ...); CMake defines it"
#endif

namespace dlcore::DLCORE_DEVICE {

using Index = std::int64_t;

enum class DType : std::uint8_t { float32, float64, int32 };

constexpr Index item_size(DType dtype) { return dtype == DType::float64 ? 8 : 4; }

template <typename T> constexpr DType dtype_of();
template <> constexpr DType dtype_of<float>() { return DType::float32; }
template <> constexpr DType dtype_of<double>() { return DType::float64; }
template <> constexpr DType dtype_of<std::int32_t>() { return DType::int32; }

constexpr int max_ndim = 8;

constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }
constexpr Index round_up(Index a, Index b) { return ceil_div(a, b) * b; }

}  // namespace dlcore::DLCORE_DEVICE
