// What the emulation's kernels and its runtime share: the device's memory.
#pragma once

#include <cstddef>

#include "emulate.h"

namespace dlcore::DLCORE_DEVICE::emulate {

inline constexpr std::size_t alignment = 16;  // of allocations and of shared arrays

class Opened {  // hidden allocations can be touched while one lives
 public:
  Opened();
  ~Opened();
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
};

}  // namespace dlcore::DLCORE_DEVICE::emulate
