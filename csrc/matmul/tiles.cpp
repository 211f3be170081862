#include "tiles.h"

#include "../matmul.h"

// A module has this file once, compiled for the same instructions as its other kernels, and for those of AMX or their
// model beside them where it is to have tiles.
#if defined(DLCORE_AMX)
#include "amx.h"
#include "gemm.h"
#include "gemm_tiles.h"
#include "product.h"
#endif

namespace dlcore::DLCORE_DEVICE {

#if defined(DLCORE_AMX)
bool use_tiles() {
  if (!request_tiles()) return false;
  parts_in_use = most_parts;
  return true;
}

bool set_matmul_precision(Precision precision) {
  if (!has_tiles()) return precision == Precision::exact;
  parts_in_use = precision == Precision::exact ? most_parts : precision == Precision::bf16x2 ? 2 : 1;
  return true;
}

bool multiply_in_tiles(const MatrixProduct<float>& product) {
  using Product = detail::TileProduct<MatrixProduct<float>>;
  if (product.rows == 0 || product.panels == 0 || !Product::suits(product)) return false;
  if (detail::Product<float, MatrixProduct<float>>(product).is_sliced()) return false;
  Product(product, parts_in_use.load(std::memory_order_relaxed)).run();
  return true;
}
#else
bool use_tiles() { return false; }
bool set_matmul_precision(Precision precision) { return precision == Precision::exact; }
bool multiply_in_tiles(const MatrixProduct<float>&) { return false; }
#endif

}  // namespace dlcore::DLCORE_DEVICE
