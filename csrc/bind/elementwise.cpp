#include "../elementwise.h"

#include <algorithm>
#include <cmath>

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

struct NamedUnary {
  const char* name;
  Unary op;
};
constexpr NamedUnary unary_functions[] = {
    {"negative", Unary::negative}, {"abs", Unary::abs},     {"sign", Unary::sign},
    {"square", Unary::square},     {"sqrt", Unary::sqrt},   {"reciprocal", Unary::reciprocal},
    {"exp", Unary::exp},           {"expm1", Unary::expm1}, {"log", Unary::log},
    {"log1p", Unary::log1p},       {"sin", Unary::sin},     {"cos", Unary::cos},
};

struct NamedBinary {
  const char* name;
  Binary op;
};
constexpr NamedBinary binary_functions[] = {
    {"add", Binary::add},         {"subtract", Binary::subtract}, {"multiply", Binary::multiply},
    {"divide", Binary::divide},   {"power", Binary::power},       {"maximum", Binary::maximum},
    {"minimum", Binary::minimum}, {"greater", Binary::greater},   {"greater_equal", Binary::greater_equal},
    {"equal", Binary::equal},
};

Array bind_unary(const NamedUnary& function, const Array& x) {
  require_float(function.name, "x", x);
  Array y = new_array(function.name, x.shape(), x.dtype());
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(y.size(), [](auto... arguments) { unary(arguments...); }, function.op, y.size(), x.data<T>(), y.data<T>());
  });
  return y;
}

Shape broadcast_shape(const char* op, const Array& a, const Array& b) {
  if (a.shape() == b.shape()) return a.shape();
  Shape shape;
  shape.ndim = std::max(a.ndim(), b.ndim());
  for (int axis = 0; axis < shape.ndim; ++axis) {
    const int axis_a = axis - (shape.ndim - a.ndim()), axis_b = axis - (shape.ndim - b.ndim());
    const Index size_a = axis_a < 0 ? 1 : a.shape(axis_a), size_b = axis_b < 0 ? 1 : b.shape(axis_b);
    if (size_a != size_b && size_a != 1 && size_b != 1)
      value_error(std::string(op) + ": shapes " + text(a.shape()) + " and " + text(b.shape()) + " do not broadcast");
    shape[axis] = size_a == 1 ? size_b : size_a;
  }
  return shape;
}

// `shape` is the broadcast shape, of at least one element. Axes of size 1 are dropped, and an axis is merged with the
// one inside it where each input steps through both as through one (or is constant along both).
Broadcast broadcast_layout(const Shape& shape, const Array& a, const Array& b) {
  Broadcast reversed{0, {}, {}, {}};  // innermost first
  Index step_a = 1, step_b = 1;
  for (int axis = shape.ndim - 1; axis >= 0; --axis) {
    const int axis_a = axis - (shape.ndim - a.ndim()), axis_b = axis - (shape.ndim - b.ndim());
    const Index size = shape[axis], size_a = axis_a < 0 ? 1 : a.shape(axis_a),
                size_b = axis_b < 0 ? 1 : b.shape(axis_b);
    const Index stride_a = size_a == 1 ? 0 : step_a, stride_b = size_b == 1 ? 0 : step_b;
    step_a *= size_a;
    step_b *= size_b;
    if (size == 1) continue;
    const int last = reversed.ndim - 1;
    if (last >= 0 && stride_a == reversed.strides_a[last] * reversed.sizes[last] &&
        stride_b == reversed.strides_b[last] * reversed.sizes[last]) {
      reversed.sizes[last] *= size;
    } else {
      reversed.sizes[reversed.ndim] = size;
      reversed.strides_a[reversed.ndim] = stride_a;
      reversed.strides_b[reversed.ndim++] = stride_b;
    }
  }
  if (reversed.ndim == 0) return {1, {1}, {1}, {1}};
  std::reverse(reversed.sizes, reversed.sizes + reversed.ndim);
  std::reverse(reversed.strides_a, reversed.strides_a + reversed.ndim);
  std::reverse(reversed.strides_b, reversed.strides_b + reversed.ndim);
  return reversed;
}

Array bind_binary(const NamedBinary& function, const Array& a, const Array& b) {
  require_float(function.name, "a", a);
  require_same_dtype(function.name, "a", a, "b", b);
  const Shape shape = broadcast_shape(function.name, a, b);
  Array y = new_array(function.name, shape, a.dtype());
  const Index n = y.size();
  if (n == 0) return y;
  const Broadcast layout = a.shape() == b.shape() ? Broadcast{1, {n}, {1}, {1}} : broadcast_layout(shape, a, b);
  dispatch_float(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        n, [](auto... arguments) { binary(arguments...); }, function.op, layout, a.data<T>(), b.data<T>(), y.data<T>());
  });
  return y;
}

Array bind_affine(const Array& x, double scale, double shift) {
  require_float("affine", "x", x);
  Array y = new_array("affine", x.shape(), x.dtype());
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T slope = static_cast<T>(scale), offset = static_cast<T>(shift);
    launch(
        y.size(), [](auto... arguments) { affine(arguments...); }, y.size(), slope, offset, x.data<T>(), y.data<T>());
  });
  return y;
}

Array bind_power_scalar(const Array& x, double exponent) {
  require_float("power_scalar", "x", x);
  Array y = new_array("power_scalar", x.shape(), x.dtype());
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { power_scalar(arguments...); }, y.size(), static_cast<T>(exponent),
        x.data<T>(), y.data<T>());
  });
  return y;
}

Array bind_clamp(const Array& x, double low, double high) {
  require_float("clamp", "x", x);
  if (!(low <= high))
    value_error("clamp: low is " + std::string(py::str(py::float_(low))) + ", high is " +
                std::string(py::str(py::float_(high))) + ", expected low <= high");
  Array y = new_array("clamp", x.shape(), x.dtype());
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T least = static_cast<T>(low), most = static_cast<T>(high);
    launch(y.size(), [](auto... arguments) { clamp(arguments...); }, y.size(), least, most, x.data<T>(), y.data<T>());
  });
  return y;
}

Array bind_where(const Array& condition, const Array& a, const Array& b) {
  require_float("where", "condition", condition);
  require_same_dtype("where", "condition", condition, "a", a);
  require_same_dtype("where", "a", a, "b", b);
  require_same_shape("where", "condition", condition, "a", a);
  require_same_shape("where", "a", a, "b", b);
  Array y = new_array("where", a.shape(), a.dtype());
  dispatch_float(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { where(arguments...); }, y.size(), condition.data<T>(), a.data<T>(),
        b.data<T>(), y.data<T>());
  });
  return y;
}

Array& bind_axpy(double alpha, const Array& x, Array& y) {
  require_float("axpy", "x", x);
  require_same_dtype("axpy", "x", x, "y", y);
  require_same_shape("axpy", "x", x, "y", y);
  if (x.raw() != y.raw()) require_no_overlap("axpy", "y", y, "x", x);  // y += alpha y is well defined
  note_write(y);
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { axpy(arguments...); }, y.size(), static_cast<T>(alpha), x.data<T>(),
        y.data<T>());
  });
  return y;
}

Array bind_full(const py::handle& sizes, double value, const std::string& dtype_name) {
  const Shape shape = to_shape("full", sizes);
  const DType dtype = to_dtype("full", dtype_name);
  if (dtype == DType::int32 && !(value >= -2147483648.0 && value <= 2147483647.0 && value == std::trunc(value)))
    value_error("full: value is " + std::string(py::str(py::float_(value))) +
                ", expected an integer of 32 bits for dtype int32");
  Array y = new_array("full", shape, dtype);
  const auto fill_with = [&](auto typed) {
    using T = decltype(typed);
    launch(y.size(), [](auto... arguments) { fill(arguments...); }, y.size(), typed, y.data<T>());
  };
  switch (dtype) {
    case DType::float32: fill_with(static_cast<float>(value)); break;
    case DType::float64: fill_with(value); break;
    case DType::int32: fill_with(static_cast<std::int32_t>(value)); break;
  }
  return y;
}

template <typename From, typename To> void cast_into(const Array& x, const Array& y) {
  launch(y.size(), [](auto... arguments) { cast(arguments...); }, y.size(), x.data<From>(), y.data<To>());
}

Array bind_cast(const Array& x, const std::string& dtype_name) {
  const DType dtype = to_dtype("cast", dtype_name);
  const DType from = x.dtype();
  if (dtype == DType::int32 && from != dtype)
    dispatch_float(from, [&](auto zero) {
      using T = decltype(zero);
      cannot_replay("cast to int32 looks at values");
      const Index bad = first_outside_int32(x.size(), x.data<T>());
      if (bad >= 0)
        value_error("cast: " + std::string(py::str(py::float_(static_cast<double>(value_at(x.data<T>(), bad))))) +
                    " at index " + std::to_string(bad) + " does not fit in int32");
    });
  Array y = new_array("cast", x.shape(), dtype);
  if (from == dtype) {
    copy_array(x, y);
    return y;
  }
  if (from == DType::float32)
    dtype == DType::int32 ? cast_into<float, std::int32_t>(x, y) : cast_into<float, double>(x, y);
  else if (from == DType::float64)
    dtype == DType::int32 ? cast_into<double, std::int32_t>(x, y) : cast_into<double, float>(x, y);
  else dtype == DType::float32 ? cast_into<std::int32_t, float>(x, y) : cast_into<std::int32_t, double>(x, y);
  return y;
}

}  // namespace

void bind_elementwise(py::module_& m) {
  for (const NamedUnary& function : unary_functions)
    m.def(function.name, [&function](const Array& x) { return bind_unary(function, x); }, py::arg("x"));
  for (const NamedBinary& function : binary_functions)
    m.def(
        function.name, [&function](const Array& a, const Array& b) { return bind_binary(function, a, b); },
        py::arg("a"), py::arg("b"));
  m.def("affine", &bind_affine, py::arg("x"), py::arg("scale"), py::arg("shift"));
  m.def("power_scalar", &bind_power_scalar, py::arg("x"), py::arg("exponent"));
  m.def("clamp", &bind_clamp, py::arg("x"), py::arg("low"), py::arg("high"));
  m.def("where", &bind_where, py::arg("condition"), py::arg("a"), py::arg("b"));
  // The returned reference is the Python object that came in.
  m.def("axpy", &bind_axpy, py::arg("alpha"), py::arg("x"), py::arg("y"), py::return_value_policy::reference);
  m.def("full", &bind_full, py::arg("shape"), py::arg("value"), py::arg("dtype"));
  m.def("cast", &bind_cast, py::arg("x"), py::arg("dtype"));
}

}  // namespace dlcore::DLCORE_DEVICE
