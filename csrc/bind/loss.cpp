#include "../loss.h"
#include "../movement.h"

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr Index function_cost = 4;  // rough scalar operations an element, for launch

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
  launch(
      rows,
      [](const char* who, Index n, Index classes, const std::int32_t* target) {
        const BadIndex bad = first_out_of_range(n, target, classes);
        if (bad.position < n)
          value_error(std::string(who) + ": target " + std::to_string(bad.value) + " at index " +
                      std::to_string(bad.position) + " is outside [0, " + std::to_string(classes) + ")");
      },
      op, rows, columns, targets.data<std::int32_t>());
}

Array bind_softmax_cross_entropy(const Array& logits, const Array& targets) {
  constexpr const char* op = "softmax_cross_entropy";
  require_targets(op, logits, targets);
  const Index rows = logits.shape(0), columns = logits.shape(1);
  Array losses = new_array(op, {rows}, logits.dtype());
  dispatch_float(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = logits.data<T>();
    const Index work = function_cost * logits.size();
    if (targets.dtype() == DType::int32)
      launch(
          work, [](auto... arguments) { softmax_cross_entropy(arguments...); }, rows, columns, x,
          targets.data<std::int32_t>(), losses.data<T>());
    else
      launch(
          work, [](auto... arguments) { softmax_cross_entropy_soft(arguments...); }, rows, columns, x,
          targets.data<T>(), losses.data<T>());
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
    const Index work = function_cost * logits.size();
    if (targets.dtype() == DType::int32)
      launch(
          work, [](auto... arguments) { softmax_cross_entropy_grad(arguments...); }, rows, columns, dloss, x,
          targets.data<std::int32_t>(), dlogits.data<T>());
    else
      launch(
          work, [](auto... arguments) { softmax_cross_entropy_soft_grad(arguments...); }, rows, columns, dloss, x,
          targets.data<T>(), dlogits.data<T>());
  });
  return dlogits;
}

PointwiseLoss to_kind(const char* op, const std::string& kind) {
  using enum PointwiseLoss;
  static constexpr std::pair<const char*, PointwiseLoss> kinds[] = {
      {"squared", squared},
      {"absolute", absolute},
      {"epsilon_insensitive", epsilon_insensitive},
      {"huber", huber},
      {"log_cosh", log_cosh},
      {"hinge", hinge},
      {"kl", kl},
      {"squared_hinge", squared_hinge},
      {"logistic", logistic},
      {"kl_log", kl_log},
      {"log_loss", log_loss},
      {"poisson", poisson},
      {"focal", focal},
      {"poisson_log", poisson_log},
      {"gaussian_kernel", gaussian_kernel},
      {"zero_one", zero_one},
      {"tolerance", tolerance},
      {"correntropy", correntropy},
  };
  std::string names;
  for (const auto& [kind_name, found] : kinds) {
    if (kind == kind_name) return found;
    names += std::string(names.empty() ? "" : ", ") + kind_name;
  }
  value_error(std::string(op) + ": kind is '" + kind + "', expected one of " + names);
}

void require_pair(const char* op, const Array& prediction, const Array& target) {
  require_float(op, "prediction", prediction);
  require_same_dtype(op, "prediction", prediction, "target", target);
  require_same_shape(op, "prediction", prediction, "target", target);
}

Array bind_pointwise_loss(const Array& prediction, const Array& target, const std::string& kind_name,
                          double parameter) {
  constexpr const char* op = "pointwise_loss";
  const PointwiseLoss kind = to_kind(op, kind_name);
  require_pair(op, prediction, target);
  const Index n = prediction.size();
  Array losses = new_array(op, prediction.shape(), prediction.dtype());
  dispatch_float(prediction.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *f = prediction.data<T>(), *y = target.data<T>();
    launch(
        function_cost * n, [](auto... arguments) { pointwise_loss(arguments...); }, kind, parameter, n, f, y,
        losses.data<T>());
  });
  return losses;
}

template <typename Kernel>
Array bind_derivative(const char* op, const Array& dlosses, const Array& prediction, const Array& target,
                      const std::string& kind_name, double parameter, const Kernel& kernel) {
  const PointwiseLoss kind = to_kind(op, kind_name);
  if (!has_derivative(kind)) value_error(std::string(op) + ": kind '" + kind_name + "' has no derivative");
  require_pair(op, prediction, target);
  require_same_dtype(op, "dlosses", dlosses, "prediction", prediction);
  require_same_shape(op, "dlosses", dlosses, "prediction", prediction);
  const Index n = prediction.size();
  Array out = new_array(op, prediction.shape(), prediction.dtype());
  dispatch_float(prediction.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *dloss = dlosses.data<T>(), *f = prediction.data<T>(), *y = target.data<T>();
    launch(function_cost * n, kernel, kind, parameter, n, dloss, f, y, out.data<T>());
  });
  return out;
}

Array bind_pointwise_loss_grad(const Array& dlosses, const Array& prediction, const Array& target,
                               const std::string& kind, double parameter) {
  return bind_derivative("pointwise_loss_grad", dlosses, prediction, target, kind, parameter,
                         [](auto... arguments) { pointwise_loss_grad(arguments...); });
}

Array bind_pointwise_loss_hessian(const Array& dlosses, const Array& prediction, const Array& target,
                                  const std::string& kind, double parameter) {
  return bind_derivative("pointwise_loss_hessian", dlosses, prediction, target, kind, parameter,
                         [](auto... arguments) { pointwise_loss_hessian(arguments...); });
}

}  // namespace

void bind_loss(py::module_& m) {
  m.def("softmax_cross_entropy", &bind_softmax_cross_entropy, py::arg("logits"), py::arg("targets"));
  m.def("softmax_cross_entropy_grad", &bind_softmax_cross_entropy_grad, py::arg("dlosses"), py::arg("logits"),
        py::arg("targets"));
  m.def("pointwise_loss", &bind_pointwise_loss, py::arg("prediction"), py::arg("target"), py::arg("kind"),
        py::arg("parameter"));
  m.def("pointwise_loss_grad", &bind_pointwise_loss_grad, py::arg("dlosses"), py::arg("prediction"), py::arg("target"),
        py::arg("kind"), py::arg("parameter"));
  m.def("pointwise_loss_hessian", &bind_pointwise_loss_hessian, py::arg("dlosses"), py::arg("prediction"),
        py::arg("target"), py::arg("kind"), py::arg("parameter"));
}

}  // namespace dlcore::DLCORE_DEVICE
