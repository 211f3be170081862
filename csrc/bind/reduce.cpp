#include "../reduce.h"

#include <pybind11/stl.h>

#include <limits>
#include <type_traits>

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

struct Marked {  // the axes to be reduced
  bool axis[max_ndim] = {};
};

// What is left of a shape when the marked axes are reduced.
Shape reduced_shape(const Shape& shape, const Marked& reduced, bool keepdims) {
  Shape result;
  for (int axis = 0; axis < shape.ndim; ++axis) {
    if (!reduced.axis[axis]) result.append(shape[axis]);
    else if (keepdims) result.append(1);
  }
  return result;
}

// Neighbouring axes that are all kept, or all reduced, are one axis; those of size 1 are none. The rest is summed one
// axis at a time, from the last, so that what is read first is read in order.
template <typename T> void sum_axes(const Shape& shape, const Marked& reduced, const T* x, T* y) {
  Index sizes[max_ndim];
  bool summed[max_ndim];
  int groups = 0, to_sum = 0;
  for (int axis = 0; axis < shape.ndim; ++axis) {
    if (shape[axis] == 1) continue;
    if (groups > 0 && summed[groups - 1] == reduced.axis[axis]) {
      sizes[groups - 1] *= shape[axis];
    } else {
      sizes[groups] = shape[axis];
      summed[groups++] = reduced.axis[axis];
      to_sum += reduced.axis[axis];
    }
  }
  Index outer = shape.size(), inner = 1;
  if (to_sum == 0) return sum(outer, 1, 1, x, y);
  Buffer<T> held;
  for (int group = groups - 1; group >= 0; --group) {
    outer /= sizes[group];
    if (!summed[group]) {
      inner *= sizes[group];
      continue;
    }
    Buffer<T> next;
    if (--to_sum > 0) next = Buffer<T>(outer * inner);
    sum(outer, sizes[group], inner, x, to_sum > 0 ? next.data() : y);
    held = std::move(next);
    x = held.data();
  }
}

void sum_marked(const Array& x, const Marked& reduced, const Array& y) {
  if (y.size() == 0) return;
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (x.size() == 0)
      return launch(
          y.size(), [](auto... arguments) { sum(arguments...); }, y.size(), Index{0}, Index{1}, x.data<T>(),
          y.data<T>());
    launch(x.size(), [](auto... arguments) { sum_axes(arguments...); }, x.shape(), reduced, x.data<T>(), y.data<T>());
  });
}

Array bind_sum(const Array& x, const py::handle& axes, bool keepdims, const std::optional<Array>& out) {
  require_float("sum", "x", x);
  Marked reduced;
  if (axes.is_none()) {
    for (int axis = 0; axis < x.ndim(); ++axis) reduced.axis[axis] = true;
  } else {
    const Axes given = to_axes("sum", axes, x.shape());
    for (int i = 0; i < given.count; ++i) reduced.axis[given.axis[i]] = true;
  }
  const Array y = output_or_new("sum", out, reduced_shape(x.shape(), reduced, keepdims), x.dtype());
  if (out) require_no_overlap("sum", "out", y, "x", x);
  sum_marked(x, reduced, y);
  return y;
}

Array bind_sum_to(const Array& x, const py::handle& sizes) {
  require_float("sum_to", "x", x);
  const Shape shape = to_shape("sum_to", sizes);
  const int added = x.ndim() - shape.ndim;
  Marked reduced;
  bool fits = added >= 0;
  for (int axis = 0; fits && axis < x.ndim(); ++axis) {
    const Index target = axis < added ? 1 : shape[axis - added];
    reduced.axis[axis] = target == 1 && x.shape(axis) != 1;
    fits = target == x.shape(axis) || target == 1;
  }
  if (!fits) value_error("sum_to: " + text(shape) + " does not broadcast to " + text(x.shape()));
  const Array y = new_array("sum_to", shape, x.dtype());
  sum_marked(x, reduced, y);
  return y;
}

struct Extreme {
  Array values, indices;
};

// `axis`: an int, or None for the array as one long row.
Extreme find_extreme(const char* op, bool largest, const Array& x, const py::handle& given, bool keepdims) {
  require_float(op, "x", x);
  Marked reduced;
  Index outer = 1, n = x.size(), inner = 1;
  if (given.is_none()) {
    for (int axis = 0; axis < x.ndim(); ++axis) reduced.axis[axis] = true;
    if (n == 0) value_error(std::string(op) + ": an array of shape " + text(x.shape()) + " is empty");
  } else {
    const Py_ssize_t number = PyNumber_AsSsize_t(given.ptr(), nullptr);
    if (number == -1 && PyErr_Occurred()) throw py::error_already_set();
    const int axis = to_axis(op, number, x.shape());
    reduced.axis[axis] = true;
    n = x.shape(axis);
    if (n == 0)
      value_error(std::string(op) + ": axis " + std::to_string(axis) + " of " + text(x.shape()) + " is empty");
    if (x.size() == 0) outer = 0;
    else outer = x.shape().product(0, axis), inner = x.shape().product(axis + 1, x.ndim());
  }
  if (n > std::numeric_limits<std::int32_t>::max())
    value_error(std::string(op) + ": " + std::to_string(n) + " elements are more than an int32 index can number");
  const Shape shape = reduced_shape(x.shape(), reduced, keepdims);
  Extreme result{new_array(op, shape, x.dtype()), new_array(op, shape, DType::int32)};
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        x.size(), [](auto... arguments) { extreme(arguments...); }, largest, outer, n, inner, x.data<T>(),
        result.values.data<T>(), result.indices.data<std::int32_t>());
  });
  return result;
}

py::tuple as_tuple(Extreme extreme) { return py::make_tuple(std::move(extreme.values), std::move(extreme.indices)); }

Array bind_logsumexp(const Array& x) {
  require_float("logsumexp", "x", x);
  if (x.ndim() == 0) value_error("logsumexp: x has shape (), expected at least 1 dimension");
  Shape shape = x.shape();
  --shape.ndim;
  Array y = new_array("logsumexp", shape, x.dtype());
  if (y.size() == 0) return y;
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        8 * x.size(), [](auto... arguments) { logsumexp(arguments...); }, y.size(), x.shape(x.ndim() - 1), x.data<T>(),
        y.data<T>());
  });
  return y;
}

double bind_dot(const Array& a, const Array& b) {
  require_float("dot", "a", a);
  require_same_dtype("dot", "a", a, "b", b);
  require_same_shape("dot", "a", a, "b", b);
  cannot_replay("dot reads a value");
  double result = 0;
  dispatch_float(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    without_gil(a.size(), [&] { result = static_cast<double>(dot(a.size(), a.data<T>(), b.data<T>())); });
  });
  return result;
}

bool bind_all_finite(const Array& x) {
  if (x.dtype() == DType::int32) return true;
  cannot_replay("all_finite looks at values");
  bool result = true;
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    without_gil(x.size(), [&] { result = all_finite(x.size(), x.data<T>()); });
  });
  return result;
}

// A replay of a step for which the answer was yes ends where it is no.
bool bind_within(const Array& x, double low, double high) {
  if (x.size() > std::numeric_limits<std::int32_t>::max())
    value_error("within: " + std::to_string(x.size()) + " elements are more than an int32 index can number");
  bool result = true;
  const auto look = [&](auto zero) {
    using T = decltype(zero);
    const T* values = x.data<T>();
    without_gil(x.size(), [&] { result = within(x.size(), values, low, high); });
    if (Plan* plan = recording(); result && plan) {
      plan->rewind_here();
      launch(
          x.size(),
          [](auto... arguments) {
            if (!within(arguments...)) throw OtherAnswer("within: a number is outside its range");
          },
          x.size(), values, low, high);
    } else if (!result) cannot_replay("values are outside their range");
  };
  if (x.dtype() == DType::int32) look(std::int32_t{});
  else dispatch_float(x.dtype(), look);
  return result;
}

}  // namespace

void bind_reduce(py::module_& m) {
  m.def("sum", &bind_sum, py::arg("x"), py::arg("axes"), py::arg("keepdims"), py::arg("out") = py::none());
  m.def("sum_to", &bind_sum_to, py::arg("x"), py::arg("shape"));
  m.def(
      "max",
      [](const Array& x, const py::handle& axis, bool keepdims) {
        return as_tuple(find_extreme("max", true, x, axis, keepdims));
      },
      py::arg("x"), py::arg("axis"), py::arg("keepdims"));
  m.def(
      "min",
      [](const Array& x, const py::handle& axis, bool keepdims) {
        return as_tuple(find_extreme("min", false, x, axis, keepdims));
      },
      py::arg("x"), py::arg("axis"), py::arg("keepdims"));
  m.def(
      "argmax",
      [](const Array& x, const py::handle& axis) { return find_extreme("argmax", true, x, axis, false).indices; },
      py::arg("x"), py::arg("axis"));
  m.def("logsumexp", &bind_logsumexp, py::arg("x"));
  m.def("dot", &bind_dot, py::arg("a"), py::arg("b"));
  m.def("all_finite", &bind_all_finite, py::arg("x"));
  m.def("within", &bind_within, py::arg("x"), py::arg("low"), py::arg("high"));
}

}  // namespace dlcore::DLCORE_DEVICE
