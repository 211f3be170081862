// The binding of rbm_epoch.
#pragma once

#include "../movement.h"
#include "rbm.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// theta's stretch of the parameters, with the shape of W, b or c.
Parameters parameters_of(const char* op, const Array& theta, Index n_visible, Index n_hidden, Array& visible_bias,
                         Array& hidden_bias, const py::handle& units) {
  const Index weights = n_visible * n_hidden, least = weights + n_visible + n_hidden;
  if (theta.size() < least)
    value_error(std::string(op) + ": theta has shape " + text(theta.shape()) + ", expected at least (" +
                std::to_string(least) + ",)");
  visible_bias = theta.view(weights, {n_visible});
  hidden_bias = theta.view(weights + n_visible, {n_hidden});
  Parameters p = to_parameters(op, theta.view(0, {n_visible, n_hidden}), &visible_bias, &hidden_bias, units);
  require_shape(op, "theta", theta, {least + p.n_gaussian});
  if (p.log_variance && p.log_variance->raw() != theta.view(least, {p.n_gaussian}).raw())
    value_error(std::string(op) + ": log_variance is not the end of theta");
  return p;
}

void require_rates(const char* op, const char* name, const Array& rates, Index batches, double below) {
  require_dtype(op, name, rates, DType::float64);
  require_shape(op, name, rates, {batches});
  for (Index i = 0; i < batches; ++i) {
    const double rate = rates.data<double>()[i];
    if (!(rate >= 0 && rate < below))
      value_error(std::string(op) + ": " + name + " is " + text(rate) + " at batch " + std::to_string(i) +
                  ", expected " + (below == 1 ? "a number in [0, 1)" : "a finite number >= 0"));
  }
}

void epoch(const Array& data, const std::optional<Array>& order, const Array& theta, const py::handle& n_hidden,
           const py::handle& batch_size, const py::handle& k, const py::handle& key, const py::handle& step,
           const Array& lr, const Array& momentum, const Array& done, const Array& errors,
           const std::optional<Array>& velocity, const std::optional<Array>& chains, const py::handle& units,
           const Centring& centring, const Sparsity& sparsity, double weight_decay, bool fixed_variance,
           bool scaled_steps, double dampening, bool nesterov, bool first_step) {
  constexpr const char* op = "rbm_epoch";
  require_float(op, "theta", theta);
  require_ndim(op, "theta", theta, 1);
  require_ndim(op, "data", data, 2);
  const auto hidden_units = static_cast<Index>(to_counter(op, "n_hidden", n_hidden, 31));
  require_size_fits(op, {data.shape(1), hidden_units}, theta.dtype());
  Array visible_bias, hidden_bias;
  const Parameters p = parameters_of(op, theta, data.shape(1), hidden_units, visible_bias, hidden_bias, units);
  require_layer(op, "data", data, p, 0);
  const Index stored = data.shape(0), cases = order ? order->size() : stored,
              batch = static_cast<Index>(to_counter(op, "batch_size", batch_size, 31));
  if (stored == 0 || cases == 0) value_error("rbm_epoch: there are no cases: data is " + text(data.shape()));
  if (batch == 0) value_error("rbm_epoch: batch_size is 0, expected an integer >= 1");
  const Index steps = to_steps(op, k), batches = ceil_div(cases, batch);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_rates(op, "lr", lr, batches, std::numeric_limits<double>::infinity());
  require_rates(op, "momentum", momentum, batches, 1);
  require_share(op, "dampening", dampening);
  require_dtype(op, "done", done, DType::int32);
  require_shape(op, "done", done, {1});
  require_dtype(op, "errors", errors, DType::float64);
  require_shape(op, "errors", errors, {batches});
  std::vector<Named> written{{"theta", theta}, {"done", done}, {"errors", errors}},
      read{{"data", data}, {"lr", lr}, {"momentum", momentum}};
  if (order) {
    require_dtype(op, "order", *order, DType::int32);
    require_ndim(op, "order", *order, 1);
    const BadIndex bad = first_out_of_range(cases, order->data<std::int32_t>(), stored);
    if (bad.position < cases)
      value_error("rbm_epoch: order is " + std::to_string(bad.value) + " at index " + std::to_string(bad.position) +
                  ", expected 0 to " + std::to_string(stored - 1));
    read.emplace_back("order", *order);
  }
  require_values(op, "data", data, p.segments);
  require_terms(op, p, centring, sparsity, weight_decay);
  if (velocity) {
    require_same_dtype(op, "theta", theta, "velocity", *velocity);
    require_same_shape(op, "theta", theta, "velocity", *velocity);
    written.emplace_back("velocity", *velocity);
  }
  for (Index i = 0; i < batches && !velocity; ++i)
    if (momentum.data<double>()[i] != 0) value_error("rbm_epoch: momentum is not 0, but velocity is None");
  if (chains) {
    require_chains(op, *chains, p);
    written.emplace_back("chains", *chains);
  }
  if (centring) written.emplace_back("offsets", centring->first);
  if (sparsity) written.emplace_back("activity", std::get<0>(*sparsity));
  require_apart(op, written, read);
  cannot_replay("rbm_epoch is many steps");
  dispatch_float(theta.dtype(), [&]<typename T>(T) {
    const ContrastEpoch<T> given{cases,
                                 stored,
                                 std::min(batch, cases),
                                 data.data<T>(),
                                 order ? order->data<std::int32_t>() : nullptr,
                                 steps,
                                 key_,
                                 step_,
                                 lr.data<double>(),
                                 momentum.data<double>(),
                                 dampening,
                                 nesterov,
                                 first_step,
                                 theta.data<T>(),
                                 velocity ? velocity->data<T>() : nullptr,
                                 chains ? chains->shape(0) : 0,
                                 chains ? chains->data<T>() : nullptr,
                                 done.data<std::int32_t>(),
                                 errors.data<double>()};
    without_gil(work(p, cases) * (steps + 2), [&] {
      rbm_epoch(to_rbm<T>(p), given, to_terms<T>(centring, sparsity, weight_decay, fixed_variance, scaled_steps),
                signals_now_and_then());
    });
  });
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
