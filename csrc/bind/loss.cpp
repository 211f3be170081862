#include "../loss.h"

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr Index function_cost = 4;  // rough scalar operations an element, for without_gil

// (n, c) logits with int32 (n,) targets inside [0, c), or soft targets like the logits.
void require_targets(const char* op, const Array& logits, const Array& targets) {
  require_float(op, "logits", logits);
  require_ndim(op, "logits", logits, 2);
  if (targets.dtype() != DType::int32) {
    if (targets.dtype() != logits.dtype())
      type_error(std::string(op) + ": targets have dtype " + name(targets.dtype()) + ", expected int32 or " +
                 name(logits.dtype()));
    return require_same_shape(op, "logits", logits, "targets", targets);
  }
  const Index rows = logits.shape(0), columns = logits.shape(1);
  require_shape(op, "targets", targets, {rows});
  const std::int32_t* target = targets.data<std::int32_t>();
  for (Index i = 0; i < rows; ++i)
    if (target[i] < 0 || target[i] >= columns)
      value_error(std::string(op) + ": target " + std::to_string(target[i]) + " at index " + std::to_string(i) +
                  " is outside [0, " + std::to_string(columns) + ")");
}

Array bind_softmax_cross_entropy(const Array& logits, const Array& targets) {
  constexpr const char* op = "softmax_cross_entropy";
  require_targets(op, logits, targets);
  const Index rows = logits.shape(0), columns = logits.shape(1);
  Array losses = new_array(op, {rows}, logits.dtype());
  dispatch_float(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = logits.data<T>();
    without_gil(function_cost * logits.size(), [&] {
      if (targets.dtype() == DType::int32)
        softmax_cross_entropy(rows, columns, x, targets.data<std::int32_t>(), losses.data<T>());
      else softmax_cross_entropy_soft(rows, columns, x, targets.data<T>(), losses.data<T>());
    });
  });
  return losses;
}

Array bind_softmax_cross_entropy_grad(const Array& dlosses, const Array& logits, const Array& targets) {
  constexpr const char* op = "softmax_cross_entropy_grad";
  require_targets(op, logits, targets);
  const Index rows = logits.shape(0), columns = logits.shape(1);
  require_same_dtype(op, "dlosses", dlosses, "logits", logits);
  require_shape(op, "dlosses", dlosses, {rows});
  Array dlogits = new_array(op, logits.shape(), logits.dtype());
  dispatch_float(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *dloss = dlosses.data<T>(), *x = logits.data<T>();
    without_gil(function_cost * logits.size(), [&] {
      if (targets.dtype() == DType::int32)
        softmax_cross_entropy_grad(rows, columns, dloss, x, targets.data<std::int32_t>(), dlogits.data<T>());
      else softmax_cross_entropy_soft_grad(rows, columns, dloss, x, targets.data<T>(), dlogits.data<T>());
    });
  });
  return dlogits;
}

// Element-wise losses: every argument has the shape and dtype of the first.
template <typename Kernel>
Array bind_pair(const char* op, const char* name_a, const Array& a, const char* name_b, const Array& b,
                const Kernel& kernel) {
  require_float(op, name_a, a);
  require_same_dtype(op, name_a, a, name_b, b);
  require_same_shape(op, name_a, a, name_b, b);
  Array losses = new_array(op, a.shape(), a.dtype());
  dispatch_float(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *from_a = a.data<T>(), *from_b = b.data<T>();
    without_gil(function_cost * a.size(), [&] { kernel(a.size(), from_a, from_b, losses.data<T>()); });
  });
  return losses;
}

template <typename Kernel>
Array bind_pair_grad(const char* op, const Array& dlosses, const char* name_a, const Array& a, const char* name_b,
                     const Array& b, const Kernel& kernel) {
  require_float(op, name_a, a);
  require_same_dtype(op, name_a, a, name_b, b);
  require_same_shape(op, name_a, a, name_b, b);
  require_same_dtype(op, "dlosses", dlosses, name_a, a);
  require_same_shape(op, "dlosses", dlosses, name_a, a);
  Array da = new_array(op, a.shape(), a.dtype());
  dispatch_float(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *dloss = dlosses.data<T>(), *from_a = a.data<T>(), *from_b = b.data<T>();
    without_gil(function_cost * a.size(), [&] { kernel(a.size(), dloss, from_a, from_b, da.data<T>()); });
  });
  return da;
}

}  // namespace

void bind_loss(py::module_& m) {
  m.def("softmax_cross_entropy", &bind_softmax_cross_entropy, py::arg("logits"), py::arg("targets"));
  m.def("softmax_cross_entropy_grad", &bind_softmax_cross_entropy_grad, py::arg("dlosses"), py::arg("logits"),
        py::arg("targets"));
  m.def(
      "sigmoid_cross_entropy",
      [](const Array& logits, const Array& targets) {
        return bind_pair("sigmoid_cross_entropy", "logits", logits, "targets", targets,
                         [](auto... arguments) { sigmoid_cross_entropy(arguments...); });
      },
      py::arg("logits"), py::arg("targets"));
  m.def(
      "sigmoid_cross_entropy_grad",
      [](const Array& dlosses, const Array& logits, const Array& targets) {
        return bind_pair_grad("sigmoid_cross_entropy_grad", dlosses, "logits", logits, "targets", targets,
                              [](auto... arguments) { sigmoid_cross_entropy_grad(arguments...); });
      },
      py::arg("dlosses"), py::arg("logits"), py::arg("targets"));
  m.def(
      "squared_error",
      [](const Array& a, const Array& b) {
        return bind_pair("squared_error", "a", a, "b", b, [](auto... arguments) { squared_error(arguments...); });
      },
      py::arg("a"), py::arg("b"));
  m.def(
      "squared_error_grad",
      [](const Array& dlosses, const Array& a, const Array& b) {
        return bind_pair_grad("squared_error_grad", dlosses, "a", a, "b", b,
                              [](auto... arguments) { squared_error_grad(arguments...); });
      },
      py::arg("dlosses"), py::arg("a"), py::arg("b"));
}

}  // namespace dlcore::DLCORE_DEVICE
