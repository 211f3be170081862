// What the optimizers' bindings demand of their arguments.
#pragma once

#include <pybind11/stl.h>

#include <cmath>
#include <cstdio>

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {

struct Argument {
  const char* name;
  const Array* array;  // null: not given
  bool written = true;
};

inline Argument optional_argument(const char* name, const std::optional<Array>& array) {
  return {name, array ? &*array : nullptr};
}

// One dtype, one shape, no shared memory: theta and the state are written while the others are read.
inline void require_alike(const char* op, std::initializer_list<Argument> arguments) {
  const Argument& first = *arguments.begin();
  require_float(op, first.name, *first.array);
  for (auto i = arguments.begin() + 1; i != arguments.end(); ++i) {
    if (!i->array) continue;
    require_same_dtype(op, first.name, *first.array, i->name, *i->array);
    require_same_shape(op, first.name, *first.array, i->name, *i->array);
  }
  for (auto i = arguments.begin(); i != arguments.end(); ++i)
    for (auto j = arguments.begin(); j != i; ++j)
      if (i->array && j->array) require_no_overlap(op, i->name, *i->array, j->name, *j->array);
  for (const Argument& argument : arguments)
    if (argument.array && argument.written) note_write(*argument.array);
}

[[noreturn]] inline void range_error(const char* op, const char* option, double value, const char* range) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.9g", value);
  value_error(std::string(op) + ": " + option + " is " + digits + ", expected " + range);
}

inline void require_not_negative(const char* op, const char* option, double value) {
  if (!(value >= 0 && std::isfinite(value))) range_error(op, option, value, "a finite number >= 0");
}

inline void require_below_one(const char* op, const char* option, double value) {
  if (!(value >= 0 && value < 1)) range_error(op, option, value, "a number in [0, 1)");
}

inline void require_finite(const char* op, const char* option, double value) {
  if (!std::isfinite(value)) range_error(op, option, value, "a finite number");
}

// An eps that rounds to 0 in the dtype of theta would divide 0 by 0 where a gradient is 0.
inline void require_eps(const char* op, const Array& theta, double eps) {
  require_not_negative(op, "eps", eps);
  if (eps > 0 && theta.dtype() == DType::float32 && static_cast<float>(eps) == 0)
    range_error(op, "eps", eps, "0 or a number that is not 0 in float32");
}

// What every method has.
inline void require_common(const char* op, double lr, double weight_decay, double grad_scale) {
  require_not_negative(op, "lr", lr);
  require_not_negative(op, "weight_decay", weight_decay);
  require_finite(op, "grad_scale", grad_scale);
}

inline void require_step(const char* op, Index step) {
  if (step < 1) value_error(std::string(op) + ": step is " + std::to_string(step) + ", expected an integer >= 1");
}

// An option above 0 needs its state; with the state there, it may pass through 0 (a ramp).
inline void require_state(const char* op, const char* option, double value, const char* state, bool given) {
  if (value > 0 && !given) value_error(std::string(op) + ": " + option + " is not 0, but " + state + " is None");
}

template <typename T> T* data_or_null(const std::optional<Array>& a) { return a ? a->data<T>() : nullptr; }

// The stretches [begin, end) of the arrays that a call works on; not given: all of them.
using Segments = std::optional<std::vector<std::pair<Index, Index>>>;

inline void require_segments(const char* op, Index n, const Segments& segments) {
  if (!segments) return;
  Index previous = 0;
  for (std::size_t i = 0; i < segments->size(); ++i) {
    const auto [begin, end] = (*segments)[i];
    if (!(previous <= begin && begin <= end && end <= n))
      value_error(std::string(op) + ": segments[" + std::to_string(i) + "] is (" + std::to_string(begin) + ", " +
                  std::to_string(end) + "), expected " + std::to_string(previous) +
                  " <= begin <= end <= " + std::to_string(n));
    previous = end;
  }
}

// Where the plan that this thread records has the factor of its step's clipping, on the host and in the device's
// memory, from where a graph takes it; null: there is none.
struct Clip {
  const double *factor = nullptr, *in_device = nullptr;
};
inline thread_local Clip recorded_clip;

// kernel(n, options, arrays...) on each stretch of the arrays.
template <typename Kernel, typename Options, typename... Pointers>
void launch_segments(Index size, const Segments& segments, Kernel, const Varying<Options>& options,
                     Pointers... arrays) {
  using Stretch = std::pair<Index, Index>;
  static constexpr auto each = [](Index n, const Stretch* stretches, Index count, Varying<Options> numbers,
                                  Pointers... all) {
    if (!stretches) return Kernel{}(n, *numbers, all...);
    for (Index i = 0; i < count; ++i) {
      const auto [begin, end] = stretches[i];
      Kernel{}(end - begin, *numbers, (all ? all + begin : all)...);
    }
  };
  static const Stretch none{};
  if (Plan* plan = recording(); plan && recorded_clip.factor)  // grad_scale, the last number, is given without it
    plan->add([scale = static_cast<double*>(plan->fields.back().place), clip = recorded_clip] {
      if (!scales_in_graph(clip.in_device)) *scale *= *clip.factor;
    });
  const auto count = segments ? static_cast<Index>(segments->size()) : 0;
  const Stretch* stretches = !segments ? nullptr : count ? kept(segments->data(), segments->size()) : &none;
  launch(size, each, size, stretches, count, options, arrays...);
}

}  // namespace dlcore::DLCORE_DEVICE
