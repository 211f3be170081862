// How the host code of a launch becomes nodes of a graph (graph.cu), and what a graph's kernels have of their own in
// each step: numbers that change from step to step are read from the device's memory, so that a graph which makes many
// steps starts again without any change to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <type_traits>

#include "../csrc/graph.h"

namespace dlcore::DLCORE_DEVICE {

struct Grid;

struct Kernel {
  const char* name;
  const Grid& grid;
  const void* function;
  void** arguments;
  const std::size_t* sizes;  // of the arguments
  std::size_t count;
};

// Takes a thread's kernels and copies within the device, which then do not run.
class Recorder {
 public:
  virtual void kernel(const Kernel& given) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  // Where in the device's memory a kernel finds, in each step, what is now this value; null: nowhere.
  virtual const void* own(const void* value, std::size_t bytes) = 0;

  GraphReport* report = nullptr;
  int checks = 0;
  const std::uint64_t* shift = nullptr;  // on the device: what is added to the steps of draws; null: nothing
  const double* factor = nullptr;        // on the device: of the gradient of an optimizer; null: 1
  const double* next_factor = nullptr;   // that of the next launch
  bool prints = false;                   // the steps of draws that kernels shift are 0

 protected:
  ~Recorder() = default;
};
inline thread_local Recorder* recorder = nullptr;

// Thrown by what a graph cannot do: wait for values, or take them from the host's memory.
struct NeedsHost : std::runtime_error {
  using std::runtime_error::runtime_error;
};
inline void require_no_recorder(const char* what) {
  if (recorder) throw NeedsHost(what);
}

// A check of values that passes where *x is `good`: in a graph it leaves its answer in the report.
void expect(const unsigned long long* x, unsigned long long good);

// A kernel's argument that may be another in each step.
template <typename T> struct Own {
  T value;
  const T* place = nullptr;
  __device__ T get() const { return place ? *place : value; }
};
template <typename T> Own<T> own(const T& value) {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= own_alignment);
  Own<T> held{value};
  if (!recorder) return held;
  held.place = static_cast<const T*>(recorder->own(&value, sizeof value));
  return held;
}

// The step of a draw (random.h), as kernels take it.
class DrawStep {
 public:
  DrawStep() = default;
  DrawStep(std::uint64_t step) : step_(step) {
    if (!recorder) return;
    shift_ = recorder->shift;
    if (recorder->prints) step_ = 0;
  }
  __device__ operator std::uint64_t() const { return shift_ ? step_ + *shift_ : step_; }

 private:
  std::uint64_t step_ = 0;
  const std::uint64_t* shift_ = nullptr;
};

}  // namespace dlcore::DLCORE_DEVICE
