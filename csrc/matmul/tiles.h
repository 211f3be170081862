// Products of float32 matrices in tiles of bfloat16, of a module whose matmul/tiles.cpp is compiled for AMX; see
// matmul/gemm_tiles.h.
#pragma once

#include <atomic>

namespace dlcore::DLCORE_DEVICE {

template <typename T> struct MatrixProduct;  // matmul/product.h

// Parts of an element that these products multiply, as set_matmul_precision has it; 0 before `use_tiles`.
inline std::atomic<int> parts_in_use{0};
inline bool has_tiles() { return parts_in_use.load(std::memory_order_relaxed) != 0; }

bool multiply_in_tiles(const MatrixProduct<float>& product);  // false, and nothing is done, where they do not suit

}  // namespace dlcore::DLCORE_DEVICE
