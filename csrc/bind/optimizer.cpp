#include "../optimizer.h"

#include <pybind11/stl.h>

#include <cmath>
#include <cstdio>
#include <cstring>

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

struct Argument {
  const char* name;
  const Array& array;
};

// One dtype, one shape, no shared memory: theta and the state are written while the others are read.
void require_alike(const char* op, std::initializer_list<Argument> arguments) {
  const Argument& first = *arguments.begin();
  require_float(op, first.name, first.array);
  for (auto i = arguments.begin() + 1; i != arguments.end(); ++i) {
    require_same_dtype(op, first.name, first.array, i->name, i->array);
    require_same_shape(op, first.name, first.array, i->name, i->array);
  }
  for (auto i = arguments.begin(); i != arguments.end(); ++i)
    for (auto j = arguments.begin(); j != i; ++j) require_no_overlap(op, i->name, i->array, j->name, j->array);
  for (const Argument& argument : arguments)
    if (std::strcmp(argument.name, "grad") != 0) note_write(argument.array);
}

[[noreturn]] void range_error(const char* op, const char* option, double value, const char* range) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.9g", value);
  value_error(std::string(op) + ": " + option + " is " + digits + ", expected " + range);
}

void require_not_negative(const char* op, const char* option, double value) {
  if (!(value >= 0 && std::isfinite(value))) range_error(op, option, value, "a finite number >= 0");
}

void require_below_one(const char* op, const char* option, double value) {
  if (!(value >= 0 && value < 1)) range_error(op, option, value, "a number in [0, 1)");
}

// The state of an option stands and falls with it.
void require_state(const char* op, const char* option, double value, const char* state, bool given) {
  if (value > 0 && !given) value_error(std::string(op) + ": " + option + " is not 0, but " + state + " is None");
  if (value == 0 && given) value_error(std::string(op) + ": " + option + " is 0, but " + state + " is given");
}

template <typename T> T* data_or_null(const std::optional<Array>& a) { return a ? a->data<T>() : nullptr; }

void bind_sgd(const Array& theta, const Array& grad, const std::optional<Array>& velocity, double lr, double momentum,
              double dampening, bool nesterov, double weight_decay, bool first_step) {
  require_not_negative("sgd", "lr", lr);
  require_not_negative("sgd", "momentum", momentum);
  require_not_negative("sgd", "weight_decay", weight_decay);
  if (!(dampening >= 0 && dampening <= 1)) range_error("sgd", "dampening", dampening, "a number in [0, 1]");
  if (nesterov && !(momentum > 0 && dampening == 0)) value_error("sgd: nesterov needs momentum > 0 and dampening 0");
  require_state("sgd", "momentum", momentum, "velocity", velocity.has_value());
  if (velocity) require_alike("sgd", {{"theta", theta}, {"grad", grad}, {"velocity", *velocity}});
  else require_alike("sgd", {{"theta", theta}, {"grad", grad}});
  const SgdOptions options{lr, momentum, dampening, weight_decay, nesterov, first_step};
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    without_gil(theta.size(),
                [&] { sgd(theta.size(), options, grad.data<T>(), theta.data<T>(), data_or_null<T>(velocity)); });
  });
}

void bind_adagrad(const Array& theta, const Array& grad, const Array& sum_of_squares, double lr, double eps,
                  double weight_decay) {
  require_not_negative("adagrad", "lr", lr);
  require_not_negative("adagrad", "eps", eps);
  require_not_negative("adagrad", "weight_decay", weight_decay);
  require_alike("adagrad", {{"theta", theta}, {"grad", grad}, {"sum_of_squares", sum_of_squares}});
  const AdagradOptions options{lr, eps, weight_decay};
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    without_gil(theta.size(),
                [&] { adagrad(theta.size(), options, grad.data<T>(), theta.data<T>(), sum_of_squares.data<T>()); });
  });
}

void bind_rmsprop(const Array& theta, const Array& grad, const Array& square_average, double lr, double alpha,
                  double eps, double weight_decay, const std::optional<Array>& momentum_buffer, double momentum,
                  const std::optional<Array>& gradient_average) {
  require_not_negative("rmsprop", "lr", lr);
  require_below_one("rmsprop", "alpha", alpha);
  require_not_negative("rmsprop", "eps", eps);
  require_not_negative("rmsprop", "weight_decay", weight_decay);
  require_not_negative("rmsprop", "momentum", momentum);
  require_state("rmsprop", "momentum", momentum, "momentum_buffer", momentum_buffer.has_value());
  const Argument a{"theta", theta}, b{"grad", grad}, c{"square_average", square_average};
  if (momentum_buffer && gradient_average)
    require_alike("rmsprop", {a, b, c, {"momentum_buffer", *momentum_buffer}, {"gradient_average", *gradient_average}});
  else if (momentum_buffer) require_alike("rmsprop", {a, b, c, {"momentum_buffer", *momentum_buffer}});
  else if (gradient_average) require_alike("rmsprop", {a, b, c, {"gradient_average", *gradient_average}});
  else require_alike("rmsprop", {a, b, c});
  const RmspropOptions options{lr, alpha, eps, weight_decay, momentum};
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    without_gil(theta.size(), [&] {
      rmsprop(theta.size(), options, grad.data<T>(), theta.data<T>(), square_average.data<T>(),
              data_or_null<T>(momentum_buffer), data_or_null<T>(gradient_average));
    });
  });
}

template <bool decoupled>
void bind_adam(const Array& theta, const Array& grad, const Array& first_moment, const Array& second_moment, Index step,
               double lr, double beta1, double beta2, double eps, double weight_decay) {
  const char* op = decoupled ? "adamw" : "adam";
  if (step < 1) value_error(std::string(op) + ": step is " + std::to_string(step) + ", expected an integer >= 1");
  require_not_negative(op, "lr", lr);
  require_below_one(op, "beta1", beta1);
  require_below_one(op, "beta2", beta2);
  require_not_negative(op, "eps", eps);
  require_not_negative(op, "weight_decay", weight_decay);
  require_alike(op,
                {{"theta", theta}, {"grad", grad}, {"first_moment", first_moment}, {"second_moment", second_moment}});
  const AdamOptions options{lr, beta1, beta2, eps, weight_decay, step};
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    without_gil(theta.size(), [&] {
      (decoupled ? adamw<T> : adam<T>)(theta.size(), options, grad.data<T>(), theta.data<T>(), first_moment.data<T>(),
                                       second_moment.data<T>());
    });
  });
}

}  // namespace

void bind_optimizer(py::module_& m) {
  m.def("sgd", &bind_sgd, py::arg("theta"), py::arg("grad"), py::arg("velocity"), py::arg("lr"), py::arg("momentum"),
        py::arg("dampening"), py::arg("nesterov"), py::arg("weight_decay"), py::arg("first_step") = false);
  m.def("adagrad", &bind_adagrad, py::arg("theta"), py::arg("grad"), py::arg("sum_of_squares"), py::arg("lr"),
        py::arg("eps"), py::arg("weight_decay"));
  m.def("rmsprop", &bind_rmsprop, py::arg("theta"), py::arg("grad"), py::arg("square_average"), py::arg("lr"),
        py::arg("alpha"), py::arg("eps"), py::arg("weight_decay"), py::arg("momentum_buffer") = py::none(),
        py::arg("momentum") = 0.0, py::arg("gradient_average") = py::none());
  const auto define_adam = [&m](const char* name, auto* function) {
    m.def(name, function, py::arg("theta"), py::arg("grad"), py::arg("first_moment"), py::arg("second_moment"),
          py::arg("step"), py::arg("lr"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"));
  };
  define_adam("adam", &bind_adam<false>);
  define_adam("adamw", &bind_adam<true>);
}

}  // namespace dlcore::DLCORE_DEVICE
