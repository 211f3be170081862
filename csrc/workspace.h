// Scratch of a kernel that may be small.
#pragma once

#include "memory.h"
#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// On the stack where it is small, so that small products pay for no allocation.
template <typename T> class Workspace {
 public:
  explicit Workspace(Index count)
      : heap_(count > small ? Buffer<T>(count) : Buffer<T>()), data_(count > small ? heap_.data() : stack_) {}
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  T* data() const { return data_; }

 private:
  static constexpr Index small = 8192 / sizeof(T);
  Buffer<T> heap_;
  T* data_;
  alignas(memory_alignment) T stack_[small];
};

}  // namespace dlcore::DLCORE_DEVICE
