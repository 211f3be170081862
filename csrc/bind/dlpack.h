// The DLPack 0.8 exchange structures (github.com/dmlc/dlpack), as far as dlcore speaks them.
#pragma once

#include <cstdint>

namespace dlcore::dlpack {

struct Device {
  std::int32_t device_type;  // 1: CPU, 2: CUDA
  std::int32_t device_id;
};

struct DataType {
  std::uint8_t code;  // 0: signed integer, 2: IEEE float
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements; null: contiguous row-major
  std::uint64_t byte_offset;
};

struct ManagedTensor {
  Tensor tensor;
  void* context;
  void (*deleter)(ManagedTensor* self);
};

}  // namespace dlcore::dlpack
