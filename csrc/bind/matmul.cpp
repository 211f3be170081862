#include "../matmul.h"

#include <pybind11/stl.h>

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// "a is (2, 3)", "b is (4, 5) transposed"
std::string described(const char* argument, const Array& a, bool transposed) {
  return std::string(argument) + " is " + text(a.shape()) + (transposed ? " transposed" : "");
}

Array matmul_binding(const Array& a, const Array& b, bool transpose_a, bool transpose_b, double alpha, double beta,
                     const std::optional<Array>& out) {
  require_float("matmul", "a", a);
  require_same_dtype("matmul", "a", a, "b", b);
  require_ndim("matmul", "a", a, 2);
  require_ndim("matmul", "b", b, 2);
  const Index m = a.shape(transpose_a), k = a.shape(!transpose_a), n = b.shape(!transpose_b);
  if (k != b.shape(transpose_b))
    value_error("matmul: inner dimensions differ: " + described("a", a, transpose_a) + ", " +
                described("b", b, transpose_b));
  if (beta != 0.0 && !out) value_error("matmul: out is missing: beta is " + std::to_string(beta));
  Array c = output_or_new("matmul", out, {m, n}, a.dtype());
  if (out) {
    require_no_overlap("matmul", "out", c, "a", a);
    require_no_overlap("matmul", "out", c, "b", b);
  }
  dispatch_float(a.dtype(), [&]<typename T>(T) {
    launch(
        m * n * k / 16, [](auto... arguments) { matmul(arguments...); }, transpose_a, transpose_b, m, n, k,
        static_cast<T>(alpha), a.data<T>(), b.data<T>(), static_cast<T>(beta), c.data<T>());
  });
  return c;
}

Array linear(const Array& x, const Array& weight, const std::optional<Array>& bias, const std::string& activation,
             double parameter) {
  require_float("linear", "x", x);
  require_same_dtype("linear", "x", x, "weight", weight);
  require_ndim("linear", "x", x, 2);
  require_ndim("linear", "weight", weight, 2);
  const Index m = x.shape(0), k = x.shape(1), n = weight.shape(1);
  if (k != weight.shape(0))
    value_error("linear: inner dimensions differ: x is " + text(x.shape()) + ", weight is " + text(weight.shape()));
  if (bias) {
    require_same_dtype("linear", "x", x, "bias", *bias);
    require_shape("linear", "bias", *bias, {n});
  }
  const Activation kind = to_activation("linear", activation, parameter);
  Array y = new_array("linear", {m, n}, x.dtype());
  dispatch_float(x.dtype(), [&]<typename T>(T) {
    const Epilogue<T> epilogue{bias ? bias->data<T>() : nullptr, kind, static_cast<T>(parameter)};
    launch(
        m * n * k / 16, [](auto... arguments) { matmul(arguments...); }, false, false, m, n, k, T(1), x.data<T>(),
        weight.data<T>(), T(0), y.data<T>(), epilogue);
  });
  return y;
}

bool set_matmul_precision_binding(const std::string& mode) {
  if (mode == "exact") return set_matmul_precision(Precision::exact);
  if (mode == "bf16x2") return set_matmul_precision(Precision::bf16x2);
  if (mode == "bf16") return set_matmul_precision(Precision::bf16);
  value_error("set_matmul_precision: mode is '" + mode + "', expected exact, bf16x2 or bf16");
}

}  // namespace

void bind_matmul(py::module_& m) {
  m.def("matmul", &matmul_binding, py::arg("a"), py::arg("b"), py::arg("transpose_a") = false,
        py::arg("transpose_b") = false, py::arg("alpha") = 1.0, py::arg("beta") = 0.0, py::arg("out") = py::none());
  m.def("set_matmul_precision", &set_matmul_precision_binding, py::arg("mode"));
  m.def("use_tiles", &use_tiles);
  m.def("linear", &linear, py::arg("x"), py::arg("weight"), py::arg("bias") = py::none(),
        py::arg("activation") = "identity", py::arg("parameter") = 0.0);
}

}  // namespace dlcore::DLCORE_DEVICE
