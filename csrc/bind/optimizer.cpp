#include "../optimizer.h"

#include "optimizer_checks.h"
#include "random.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

using OptionalArray = std::optional<Array>;

void bind_sgd(const Array& theta, const Array& grad, const OptionalArray& velocity, double lr, double momentum,
              double dampening, bool nesterov, double weight_decay, bool first_step, double grad_scale,
              const Segments& segments) {
  require_common("sgd", lr, weight_decay, grad_scale);
  require_not_negative("sgd", "momentum", momentum);
  if (!(dampening >= 0 && dampening <= 1)) range_error("sgd", "dampening", dampening, "a number in [0, 1]");
  if (nesterov && !(velocity && dampening == 0)) value_error("sgd: nesterov needs a velocity and dampening 0");
  require_state("sgd", "momentum", momentum, "velocity", velocity.has_value());
  require_alike("sgd", {{"theta", &theta}, {"grad", &grad, false}, optional_argument("velocity", velocity)});
  const SgdOptions options{lr, momentum, dampening, weight_decay, nesterov, first_step, grad_scale};
  require_segments("sgd", theta.size(), segments);
  const auto numbers = varying(options, options.lr, options.momentum, options.dampening, options.nesterov,
                               options.weight_decay, options.first_step, options.grad_scale);
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    launch_segments(
        theta.size(), segments, [](auto... arguments) { sgd(arguments...); }, numbers,
        const_cast<const T*>(grad.data<T>()), theta.data<T>(), data_or_null<T>(velocity));
  });
}

void bind_adagrad(const Array& theta, const Array& grad, const Array& sum_of_squares, double lr, double eps,
                  double weight_decay, double grad_scale, const Segments& segments) {
  require_common("adagrad", lr, weight_decay, grad_scale);
  require_eps("adagrad", theta, eps);
  require_alike("adagrad", {{"theta", &theta}, {"grad", &grad, false}, {"sum_of_squares", &sum_of_squares}});
  const AdagradOptions options{lr, eps, weight_decay, grad_scale};
  require_segments("adagrad", theta.size(), segments);
  const auto numbers = varying(options, options.lr, options.eps, options.weight_decay, options.grad_scale);
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    launch_segments(
        theta.size(), segments, [](auto... arguments) { adagrad(arguments...); }, numbers,
        const_cast<const T*>(grad.data<T>()), theta.data<T>(), sum_of_squares.data<T>());
  });
}

void bind_rmsprop(const Array& theta, const Array& grad, const Array& square_average, double lr, double alpha,
                  double eps, double weight_decay, const OptionalArray& momentum_buffer, double momentum,
                  const OptionalArray& gradient_average, double grad_scale, const Segments& segments) {
  require_common("rmsprop", lr, weight_decay, grad_scale);
  require_below_one("rmsprop", "alpha", alpha);
  require_eps("rmsprop", theta, eps);
  require_not_negative("rmsprop", "momentum", momentum);
  require_state("rmsprop", "momentum", momentum, "momentum_buffer", momentum_buffer.has_value());
  require_alike("rmsprop", {{"theta", &theta},
                            {"grad", &grad, false},
                            {"square_average", &square_average},
                            optional_argument("momentum_buffer", momentum_buffer),
                            optional_argument("gradient_average", gradient_average)});
  const RmspropOptions options{lr, alpha, eps, weight_decay, momentum, grad_scale};
  require_segments("rmsprop", theta.size(), segments);
  const auto numbers = varying(options, options.lr, options.alpha, options.eps, options.weight_decay, options.momentum,
                               options.grad_scale);
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    launch_segments(
        theta.size(), segments, [](auto... arguments) { rmsprop(arguments...); }, numbers,
        const_cast<const T*>(grad.data<T>()), theta.data<T>(), square_average.data<T>(),
        data_or_null<T>(momentum_buffer), data_or_null<T>(gradient_average));
  });
}

void bind_adadelta(const Array& theta, const Array& grad, const Array& square_average, const Array& delta_average,
                   double lr, double rho, double eps, double weight_decay, double grad_scale,
                   const Segments& segments) {
  require_common("adadelta", lr, weight_decay, grad_scale);
  require_below_one("adadelta", "rho", rho);
  require_eps("adadelta", theta, eps);
  require_alike("adadelta", {{"theta", &theta},
                             {"grad", &grad, false},
                             {"square_average", &square_average},
                             {"delta_average", &delta_average}});
  const AdadeltaOptions options{lr, rho, eps, weight_decay, grad_scale};
  require_segments("adadelta", theta.size(), segments);
  const auto numbers = varying(options, options.lr, options.rho, options.eps, options.weight_decay, options.grad_scale);
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    launch_segments(
        theta.size(), segments, [](auto... arguments) { adadelta(arguments...); }, numbers,
        const_cast<const T*>(grad.data<T>()), theta.data<T>(), square_average.data<T>(), delta_average.data<T>());
  });
}

void require_moments(const char* op, const Array& theta, const AdamOptions& o) {
  require_step(op, o.step);
  require_common(op, o.lr, o.weight_decay, o.grad_scale);
  require_below_one(op, "beta1", o.beta1);
  require_below_one(op, "beta2", o.beta2);
  require_eps(op, theta, o.eps);
}

template <bool decoupled>
void bind_adam(const Array& theta, const Array& grad, const Array& first_moment, const Array& second_moment, Index step,
               double lr, double beta1, double beta2, double eps, double weight_decay,
               const OptionalArray& max_second_moment, double grad_scale, const Segments& segments) {
  const char* op = decoupled ? "adamw" : "adam";
  const AdamOptions options{lr, beta1, beta2, eps, weight_decay, step, grad_scale, decoupled};
  require_moments(op, theta, options);
  require_alike(op, {{"theta", &theta},
                     {"grad", &grad, false},
                     {"first_moment", &first_moment},
                     {"second_moment", &second_moment},
                     optional_argument("max_second_moment", max_second_moment)});
  require_segments(op, theta.size(), segments);
  const auto numbers = varying(options, options.step, options.lr, options.beta1, options.beta2, options.eps,
                               options.weight_decay, options.grad_scale);
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    launch_segments(
        theta.size(), segments, [](auto... arguments) { adam(arguments...); }, numbers,
        const_cast<const T*>(grad.data<T>()), theta.data<T>(), first_moment.data<T>(), second_moment.data<T>(),
        data_or_null<T>(max_second_moment));
  });
}

void bind_nadam(const Array& theta, const Array& grad, const Array& first_moment, const Array& second_moment,
                Index step, double lr, double beta1, double beta2, double eps, double weight_decay, double mu,
                double mu_next, double mu_product, bool decoupled, double grad_scale, const Segments& segments) {
  const NadamOptions options{
      {lr, beta1, beta2, eps, weight_decay, step, grad_scale, decoupled}, mu, mu_next, mu_product};
  require_moments("nadam", theta, options.adam);
  require_below_one("nadam", "mu", mu);
  require_below_one("nadam", "mu_next", mu_next);
  require_below_one("nadam", "mu_product", mu_product);
  require_alike(
      "nadam",
      {{"theta", &theta}, {"grad", &grad, false}, {"first_moment", &first_moment}, {"second_moment", &second_moment}});
  require_segments("nadam", theta.size(), segments);
  const auto numbers = varying(options, options.adam.step, options.adam.lr, options.adam.beta1, options.adam.beta2,
                               options.adam.eps, options.adam.weight_decay, options.mu, options.mu_next,
                               options.mu_product, options.adam.decoupled, options.adam.grad_scale);
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    launch_segments(
        theta.size(), segments, [](auto... arguments) { nadam(arguments...); }, numbers,
        const_cast<const T*>(grad.data<T>()), theta.data<T>(), first_moment.data<T>(), second_moment.data<T>());
  });
}

void bind_rprop(const Array& theta, const Array& grad, const Array& previous_gradient, const Array& step_sizes,
                double eta_minus, double eta_plus, double step_min, double step_max, double grad_scale,
                const Segments& segments) {
  if (!(eta_minus > 0 && eta_minus < 1)) range_error("rprop", "eta_minus", eta_minus, "a number in (0, 1)");
  if (!(eta_plus > 1 && std::isfinite(eta_plus))) range_error("rprop", "eta_plus", eta_plus, "a finite number > 1");
  require_not_negative("rprop", "step_min", step_min);
  if (!(step_max >= step_min && std::isfinite(step_max)))
    range_error("rprop", "step_max", step_max, "a finite number >= step_min");
  require_finite("rprop", "grad_scale", grad_scale);
  require_alike("rprop", {{"theta", &theta},
                          {"grad", &grad, false},
                          {"previous_gradient", &previous_gradient},
                          {"step_sizes", &step_sizes}});
  const RpropOptions options{eta_minus, eta_plus, step_min, step_max, grad_scale};
  require_segments("rprop", theta.size(), segments);
  const auto numbers =
      varying(options, options.eta_minus, options.eta_plus, options.step_min, options.step_max, options.grad_scale);
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    launch_segments(
        theta.size(), segments, [](auto... arguments) { rprop(arguments...); }, numbers,
        const_cast<const T*>(grad.data<T>()), theta.data<T>(), previous_gradient.data<T>(), step_sizes.data<T>());
  });
}

void bind_lion(const Array& theta, const Array& grad, const Array& first_moment, double lr, double beta1, double beta2,
               double weight_decay, double grad_scale, const Segments& segments) {
  require_common("lion", lr, weight_decay, grad_scale);
  require_below_one("lion", "beta1", beta1);
  require_below_one("lion", "beta2", beta2);
  require_alike("lion", {{"theta", &theta}, {"grad", &grad, false}, {"first_moment", &first_moment}});
  const LionOptions options{lr, beta1, beta2, weight_decay, grad_scale};
  require_segments("lion", theta.size(), segments);
  const auto numbers =
      varying(options, options.lr, options.beta1, options.beta2, options.weight_decay, options.grad_scale);
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    launch_segments(
        theta.size(), segments, [](auto... arguments) { lion(arguments...); }, numbers,
        const_cast<const T*>(grad.data<T>()), theta.data<T>(), first_moment.data<T>());
  });
}

void bind_average_weights(const Array& average, const Array& theta, double decay) {
  if (!(decay >= 0 && decay <= 1)) range_error("average_weights", "decay", decay, "a number in [0, 1]");
  require_alike("average_weights", {{"average", &average}, {"theta", &theta, false}});
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    launch(
        theta.size(), [](auto... arguments) { average_weights(arguments...); }, theta.size(), decay, theta.data<T>(),
        average.data<T>());
  });
}

using Stretch = std::pair<Index, Index>;

// The norm of stretches of x; of all of it where they are null.
template <typename T> double norm_of(Index n, const T* x, const Stretch* stretches, Index count) {
  if (!stretches) return norm(n, x);
  double value = 0;
  for (Index i = 0; i < count; ++i)
    value = std::hypot(value, norm(stretches[i].second - stretches[i].first, x + stretches[i].first));
  return value;
}

double bind_norm(const Array& x, const Segments& segments) {
  require_float("norm", "x", x);
  require_segments("norm", x.size(), segments);
  cannot_replay("norm reads a value");
  static const Stretch none{};
  const Stretch* const parts = !segments ? nullptr : segments->empty() ? &none : segments->data();
  const auto count = segments ? static_cast<Index>(segments->size()) : 0;
  double value = 0;
  dispatch_float(x.dtype(), [&]<typename T>(T) {
    without_gil(x.size(), [&] { value = norm_of(x.size(), static_cast<const T*>(x.data<T>()), parts, count); });
  });
  return value;
}

double bind_clip_factor(const Array& x, double limit, const Segments& segments, const std::string& who) {
  constexpr const char* op = "clip_factor";
  require_float(op, "x", x);
  require_segments(op, x.size(), segments);
  if (!(limit > 0)) range_error(op, "limit", limit, "a number > 0");
  Plan* const plan = recording();
  double value = 1;
  double* const place = plan ? plan->copy(value) : &value;
  double* in_device = nullptr;  // from where a graph takes the factor
  if (plan && !is_host_memory()) {
    const OutsideArena outside;
    plan->keep(Array::empty({1}, DType::float64));
    in_device = plan->kept.back().data<double>();
  }
  static const Stretch none{};
  const auto count = segments ? static_cast<Index>(segments->size()) : 0;
  dispatch_float(x.dtype(), [&]<typename T>(T) {
    launch(
        x.size(),
        [](const char* owner, Index n, const T* from, const Stretch* stretches, Index parts, double most, double* to,
           double* to_device) {
          const Stretch all(0, n);
          double found = 0;
          if (!norm_on_device(from, stretches ? stretches : &all, stretches ? parts : 1, most, to_device, found))
            found = norm_of(n, from, stretches, parts);
          if (!std::isfinite(found)) {
            const py::gil_scoped_acquire acquire;
            PyErr_SetString(PyExc_FloatingPointError,
                            (std::string(owner) + ": the norm of the gradient is " + text(found)).c_str());
            throw py::error_already_set();
          }
          *to = found > most ? most / found : 1.0;
        },
        kept(who.c_str(), who.size() + 1), x.size(), static_cast<const T*>(x.data<T>()),
        !segments ? nullptr
        : count   ? kept(segments->data(), segments->size())
                  : &none,
        count, limit, place, in_device);
  });
  if (plan) recorded_clip = {place, in_device};
  return *place;
}

}  // namespace

void bind_optimizer(py::module_& m) {
  const py::arg_v grad_scale = py::arg("grad_scale") = 1.0, segments = py::arg("segments") = py::none();
  m.def("sgd", &bind_sgd, py::arg("theta"), py::arg("grad"), py::arg("velocity"), py::arg("lr"), py::arg("momentum"),
        py::arg("dampening"), py::arg("nesterov"), py::arg("weight_decay"), py::arg("first_step") = false, grad_scale,
        segments);
  m.def("adagrad", &bind_adagrad, py::arg("theta"), py::arg("grad"), py::arg("sum_of_squares"), py::arg("lr"),
        py::arg("eps"), py::arg("weight_decay"), grad_scale, segments);
  m.def("rmsprop", &bind_rmsprop, py::arg("theta"), py::arg("grad"), py::arg("square_average"), py::arg("lr"),
        py::arg("alpha"), py::arg("eps"), py::arg("weight_decay"), py::arg("momentum_buffer") = py::none(),
        py::arg("momentum") = 0.0, py::arg("gradient_average") = py::none(), grad_scale, segments);
  m.def("adadelta", &bind_adadelta, py::arg("theta"), py::arg("grad"), py::arg("square_average"),
        py::arg("delta_average"), py::arg("lr"), py::arg("rho"), py::arg("eps"), py::arg("weight_decay"), grad_scale,
        segments);
  const auto define_adam = [&](const char* name, auto* function) {
    m.def(name, function, py::arg("theta"), py::arg("grad"), py::arg("first_moment"), py::arg("second_moment"),
          py::arg("step"), py::arg("lr"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"),
          py::arg("max_second_moment") = py::none(), grad_scale, segments);
  };
  define_adam("adam", &bind_adam<false>);
  define_adam("adamw", &bind_adam<true>);
  m.def("nadam", &bind_nadam, py::arg("theta"), py::arg("grad"), py::arg("first_moment"), py::arg("second_moment"),
        py::arg("step"), py::arg("lr"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"),
        py::arg("mu"), py::arg("mu_next"), py::arg("mu_product"), py::arg("decoupled") = false, grad_scale, segments);
  m.def("rprop", &bind_rprop, py::arg("theta"), py::arg("grad"), py::arg("previous_gradient"), py::arg("step_sizes"),
        py::arg("eta_minus"), py::arg("eta_plus"), py::arg("step_min"), py::arg("step_max"), grad_scale, segments);
  m.def("lion", &bind_lion, py::arg("theta"), py::arg("grad"), py::arg("first_moment"), py::arg("lr"), py::arg("beta1"),
        py::arg("beta2"), py::arg("weight_decay"), grad_scale, segments);
  m.def("average_weights", &bind_average_weights, py::arg("average"), py::arg("theta"), py::arg("decay"));
  m.def("clip_factor", &bind_clip_factor, py::arg("x"), py::arg("limit"), py::arg("segments") = py::none(),
        py::arg("who") = "clip_factor");
  m.def("norm", &bind_norm, py::arg("x"), segments);
}

}  // namespace dlcore::DLCORE_DEVICE
