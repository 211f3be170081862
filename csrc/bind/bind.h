// What the binding of every family uses: checks with their messages, dtype dispatch, output allocation; plan.h has the
// way to a kernel.
// Each message is written once, here or in the family's binding: `op: what is wrong: what was given`.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../activation.h"
#include "../array.h"
#include "array_type.h"
#include "plan.h"

namespace dlcore::DLCORE_DEVICE {

namespace py = pybind11;

std::string text(const Shape& shape);  // "(2, 3)"
const char* name(DType dtype);         // "float32"

[[noreturn]] void value_error(const std::string& message);
[[noreturn]] void type_error(const std::string& message);

// Python sequence of non-negative ints to a shape whose byte count fits in 63 bits; ValueError otherwise.
Shape to_shape(const char* op, const py::handle& sizes);
DType to_dtype(const char* op, const std::string& name);
// leaky_relu and elu need a parameter of at least 0: their gradient tells the side of 0 from the sign of the output.
Activation to_activation(const char* op, const std::string& name, double parameter);

// An axis in [-ndim, ndim), counted from the end when negative; ValueError otherwise.
int to_axis(const char* op, Index axis, const Shape& shape);

// Python sequence of such axes, each at most once; counted from 0.
struct Axes {
  int count = 0;
  int axis[max_ndim] = {};
};
Axes to_axes(const char* op, const py::handle& axes, const Shape& shape);

// Two Python ints (height, width) of at least `least`; at most 2**31 - 1, so that sums of a few stay far from 2**63.
struct Pair {
  Index height, width;
};
Pair to_pair(const char* op, const char* argument, const py::handle& pair, Index least);
std::string text(const Pair& pair);                            // "(2, 3)"
Index padded_size(const char* op, Index size, Index padding);  // size + 2 padding; ValueError beyond 63 bits

// Sizes in bytes must fit in 63 bits (ValueError): the one place where shapes are multiplied out before anything is
// allocated.
void require_size_fits(const char* op, const Shape& shape, DType dtype);

// A new array; checks max_ndim and that the product of sizes fits (ValueError) before anything is allocated.
Array new_array(const char* op, const Shape& shape, DType dtype);

void require_float(const char* op, const char* argument, const Array& a);
void require_dtype(const char* op, const char* argument, const Array& a, DType dtype);
void require_same_dtype(const char* op, const char* name_a, const Array& a, const char* name_b, const Array& b);
void require_ndim(const char* op, const char* argument, const Array& a, int ndim);
void require_shape(const char* op, const char* argument, const Array& a, const Shape& expected);
void require_same_shape(const char* op, const char* name_a, const Array& a, const char* name_b, const Array& b);
// In-place and `out` arguments must not share memory with an input they would corrupt.
void require_no_overlap(const char* op, const char* name_out, const Array& out, const char* name_in, const Array& in);

// Every binding that writes into an array it was given calls this: a tape that records in this thread then knows that
// what an earlier entry saved has changed, and a recorded plan knows what it writes.
void note_write(const Array& a);

// to = from, of the same size and dtype; they may overlap.
void copy_array(const Array& from, const Array& to);

// `out` where it was given (checked for shape and dtype, and noted as written), else a new array.
Array output_or_new(const char* op, const std::optional<Array>& out, const Shape& shape, DType dtype);

// Calls f(T{}) with the floating-point type of `dtype`; the caller has checked that it is one.
template <typename F> decltype(auto) dispatch_float(DType dtype, F&& f) {
  return dtype == DType::float64 ? f(double{}) : f(float{});
}

// The type and its attributes; bind_array adds the methods.
py::object bind_array_type(py::module_& m);

// One of these per family, called by module.cpp.
void bind_array(py::module_& m);
void bind_interop(py::module_& m);  // a part of bind_array
void bind_plan(py::module_& m);
void bind_plan_run(py::class_<Plan>& plan);
void bind_plan_call(py::module_& m, py::class_<Plan>& plan);
void bind_elementwise(py::module_& m);
void bind_movement(py::module_& m);
void bind_reduce(py::module_& m);
void bind_activation(py::module_& m);
void bind_matmul(py::module_& m);
void bind_conv(py::module_& m);
void bind_pool(py::module_& m);
void bind_loss(py::module_& m);
void bind_random(py::module_& m);
void bind_rbm(py::module_& m);
void bind_optimizer(py::module_& m);

}  // namespace dlcore::DLCORE_DEVICE
