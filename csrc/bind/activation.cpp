#include "../activation.h"

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr Index function_cost = 4;  // rough scalar operations an element, for launch

Array bind_activate(const Array& x, const std::string& kind_name, double parameter) {
  require_float("activation", "x", x);
  const Activation kind = to_activation("activation", kind_name, parameter);
  Array y = new_array("activation", x.shape(), x.dtype());
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        function_cost * y.size(), [](auto... arguments) { activation(arguments...); }, kind, static_cast<T>(parameter),
        y.size(), x.data<T>(), y.data<T>());
  });
  return y;
}

Array bind_activation_grad(const Array& dy, const Array& y, const std::string& kind_name, double parameter) {
  require_float("activation_grad", "dy", dy);
  require_same_dtype("activation_grad", "dy", dy, "y", y);
  require_same_shape("activation_grad", "dy", dy, "y", y);
  const Activation kind = to_activation("activation_grad", kind_name, parameter);
  Array dx = new_array("activation_grad", y.shape(), y.dtype());
  dispatch_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { activation_grad(arguments...); }, kind, static_cast<T>(parameter), y.size(),
        dy.data<T>(), y.data<T>(), dx.data<T>());
  });
  return dx;
}

void require_last_axis(const char* op, const char* argument, const Array& x) {
  if (x.ndim() == 0) value_error(std::string(op) + ": " + argument + " has shape (), expected at least one dimension");
}

// Kernels of rows: (rows, columns, pointers...), the last axis being the columns.
template <typename Kernel> Array bind_rows(const char* op, const Array& x, const Kernel& kernel) {
  require_float(op, "x", x);
  require_last_axis(op, "x", x);
  Array y = new_array(op, x.shape(), x.dtype());
  if (x.size() == 0) return y;
  const Index columns = x.shape(x.ndim() - 1);
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    launch(function_cost * x.size(), kernel, x.size() / columns, columns, from, y.data<T>());
  });
  return y;
}

template <typename Kernel> Array bind_rows_grad(const char* op, const Array& dy, const Array& y, const Kernel& kernel) {
  require_float(op, "dy", dy);
  require_same_dtype(op, "dy", dy, "y", y);
  require_same_shape(op, "dy", dy, "y", y);
  require_last_axis(op, "y", y);
  Array dx = new_array(op, y.shape(), y.dtype());
  if (y.size() == 0) return dx;
  const Index columns = y.shape(y.ndim() - 1);
  dispatch_float(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *from_dy = dy.data<T>(), *from_y = y.data<T>();
    launch(function_cost * y.size(), kernel, y.size() / columns, columns, from_dy, from_y, dx.data<T>());
  });
  return dx;
}

}  // namespace

void bind_activation(py::module_& m) {
  m.def("activation", &bind_activate, py::arg("x"), py::arg("kind"), py::arg("parameter"));
  m.def("activation_grad", &bind_activation_grad, py::arg("dy"), py::arg("y"), py::arg("kind"), py::arg("parameter"));
  m.def(
      "softmax",
      [](const Array& x) { return bind_rows("softmax", x, [](auto... arguments) { softmax(arguments...); }); },
      py::arg("x"));
  m.def(
      "log_softmax",
      [](const Array& x) { return bind_rows("log_softmax", x, [](auto... arguments) { log_softmax(arguments...); }); },
      py::arg("x"));
  m.def(
      "softmax_grad",
      [](const Array& dy, const Array& y) {
        return bind_rows_grad("softmax_grad", dy, y, [](auto... arguments) { softmax_grad(arguments...); });
      },
      py::arg("dy"), py::arg("y"));
  m.def(
      "log_softmax_grad",
      [](const Array& dy, const Array& y) {
        return bind_rows_grad("log_softmax_grad", dy, y, [](auto... arguments) { log_softmax_grad(arguments...); });
      },
      py::arg("dy"), py::arg("y"));
}

}  // namespace dlcore::DLCORE_DEVICE
