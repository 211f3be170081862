// Bindings of rbm/chains.h; a part of rbm.cpp.
#pragma once

#include <cmath>

#include "../rbm/chains.h"
#include "../reduce.h"
#include "rbm.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

Array temper(const Array& replicas, const Array& weight, const Array& visible_bias, const Array& hidden_bias,
             const Array& base_bias, const Array& betas, const py::handle& k, const py::handle& key,
             const py::handle& step, const Array& accepted, const py::handle& units) {
  constexpr const char* op = "rbm_temper";
  const Parameters p = to_parameters(op, weight, &visible_bias, &hidden_bias, units);
  require_same_dtype(op, "weight", weight, "base_bias", base_bias);
  require_shape(op, "base_bias", base_bias, {p.n_visible()});
  require_dtype(op, "betas", betas, DType::float64);
  require_ndim(op, "betas", betas, 1);
  if (betas.size() == 0) value_error("rbm_temper: betas has shape (0,), expected at least one");
  require_unit_interval(op, "betas", betas);
  require_same_dtype(op, "replicas", replicas, "weight", weight);
  require_ndim(op, "replicas", replicas, 3);
  const Index n_betas = betas.size(), n_chains = replicas.shape(1);
  require_shape(op, "replicas", replicas, {n_betas, n_chains, p.n_hidden()});
  require_dtype(op, "accepted", accepted, DType::float64);
  require_shape(op, "accepted", accepted, {n_betas - 1});
  const Index steps = to_steps(op, k);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  dispatch_float(weight.dtype(), [&]<typename T>(T) {
    if (p.hidden == Unit::bernoulli) return require_unit_interval(op, "replicas", replicas);
    launch(
        replicas.size(),
        [](Index n, const T* x) {
          if (!all_finite(n, x)) value_error("rbm_temper: replicas is not finite");
        },
        replicas.size(), replicas.data<T>());
  });
  std::vector<Named> read = {{"weight", weight},
                             {"visible_bias", visible_bias},
                             {"hidden_bias", hidden_bias},
                             {"base_bias", base_bias},
                             {"betas", betas}};
  if (p.log_variance) read.emplace_back("log_variance", *p.log_variance);
  require_apart(op, {{"replicas", replicas}, {"accepted", accepted}}, read);
  Array v = new_array(op, {n_chains, p.n_visible()}, weight.dtype());
  dispatch_float(weight.dtype(), [&]<typename T>(T) {
    launch(
        work(p, n_betas * n_chains) * steps,
        [](Rbm<T> rbm, Draw draw, const T* base, Index chains, Index levels, const double* beta, Index count, T* states,
           T* visible, double* swaps) {
          rbm_temper(rbm, base, chains, levels, beta, count, draw.key(), draw.step(), states, visible, swaps,
                     signals_now_and_then());
        },
        to_rbm<T>(p), Draw(key_, step_), base_bias.data<T>(), n_chains, n_betas, betas.data<double>(), steps,
        replicas.data<T>(), v.data<T>(), accepted.data<double>());
  });
  return v;
}

// ValueError where a number of `given` is one that its unit cannot have, or a softmax group is held in part.
template <typename T> void require_given(const char* op, const Array& given, const Parameters& p) {
  const Array numbers = new_array(op, given.shape(), given.dtype());
  launch(
      given.size() / 4, [](auto... arguments) { rbm_without_gaps(arguments...); }, given.size(),
      static_cast<const T*>(given.data<T>()), numbers.data<T>());
  require_values(op, "given", numbers, p.segments);
  for (const Segment& segment : p.segments)
    if (segment.kind == Unit::softmax)
      launch(
          given.size() / 4,
          [](const char* who, Index n, Index visible, Segment units, const T* from) {
            const Index groups = (units.end - units.begin) / units.group;
            const Index bad = rbm_first_part_group(n, visible, units, from);
            if (bad == n * groups) return;
            const Index row = bad / groups, first = units.begin + bad % groups * units.group;
            const HostView<T> group(from + row * visible + first, units.group);
            Index held = 0;
            for (Index i = 0; i < units.group; ++i) held += !std::isnan(group[i]);
            value_error(std::string(who) + ": given has " + std::to_string(held) + " of the " +
                        std::to_string(units.group) + " units of the softmax group at " + text(Shape{row, first}) +
                        ", expected all or none");
          },
          op, given.shape(0), p.n_visible(), segment, static_cast<const T*>(given.data<T>()));
}

py::tuple clamped_gibbs(const Array& given, const Array& state, const Array& weight, const Array& visible_bias,
                        const Array& hidden_bias, const py::handle& k, const py::handle& key, const py::handle& step,
                        const py::handle& units) {
  constexpr const char* op = "rbm_clamped_gibbs";
  const Parameters p = to_parameters(op, weight, &visible_bias, &hidden_bias, units);
  require_layer(op, "given", given, p, 0);
  require_same_dtype(op, "given", given, "state", state);
  require_same_shape(op, "given", given, "state", state);
  const Index steps = to_steps(op, k), n = given.shape(0);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_values(op, "state", state, p.segments);
  Array samples = new_array(op, given.shape(), given.dtype());
  Array means = new_array(op, given.shape(), given.dtype());
  dispatch_float(weight.dtype(), [&]<typename T>(T) {
    require_given<T>(op, given, p);
    launch(
        work(p, n) * steps,
        [](Rbm<T> rbm, Draw draw, Index cases, const T* held, const T* from, Index count, T* states, T* expected) {
          rbm_clamped_gibbs(rbm, cases, held, from, count, draw.key(), draw.step(), states, expected,
                            signals_now_and_then());
        },
        to_rbm<T>(p), Draw(key_, step_), n, given.data<T>(), state.data<T>(), steps, samples.data<T>(),
        means.data<T>());
  });
  return py::make_tuple(std::move(samples), std::move(means));
}

Array statistics(const Array& v, const Array& row_weights, const Array& weight, const Array& visible_bias,
                 const Array& hidden_bias, const py::handle& units, Index data, const Centring& centring,
                 const Sparsity& sparsity, double weight_decay, bool fixed_variance, bool scaled_steps) {
  constexpr const char* op = "rbm_statistics";
  const Parameters p = to_parameters(op, weight, &visible_bias, &hidden_bias, units);
  require_layer(op, "v", v, p, 0);
  require_same_dtype(op, "v", v, "row_weights", row_weights);
  const Index n = v.shape(0);
  require_shape(op, "row_weights", row_weights, {n});
  if (data < 0 || data > n)
    value_error(std::string(op) + ": data is " + std::to_string(data) + ", expected 0 to " + std::to_string(n));
  require_terms(op, p, centring, sparsity, weight_decay);
  std::vector<Named> written, read{{"v", v},
                                   {"row_weights", row_weights},
                                   {"weight", weight},
                                   {"visible_bias", visible_bias},
                                   {"hidden_bias", hidden_bias}};
  if (p.log_variance) read.emplace_back("log_variance", *p.log_variance);
  if (centring) written.emplace_back("offsets", centring->first);
  if (sparsity) written.emplace_back("activity", std::get<0>(*sparsity));
  require_apart(op, written, read);
  Array gradient = new_array(op, {weight.size() + p.n_visible() + p.n_hidden() + p.n_gaussian}, v.dtype());
  dispatch_float(weight.dtype(), [&]<typename T>(T) {
    launch(
        2 * work(p, n), [](auto... arguments) { rbm_statistics(arguments...); }, to_rbm<T>(p), n, data, v.data<T>(),
        row_weights.data<T>(), gradient.data<T>(),
        to_terms<T>(centring, sparsity, weight_decay, fixed_variance, scaled_steps));
  });
  return gradient;
}

void bind_rbm_chains(py::module_& m) {
  m.def("rbm_temper", &temper, py::arg("replicas"), py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("base_bias"), py::arg("betas"), py::arg("k"), py::arg("key"), py::arg("step"), py::arg("accepted"),
        py::arg("units") = py::none());
  m.def("rbm_clamped_gibbs", &clamped_gibbs, py::arg("given"), py::arg("state"), py::arg("weight"),
        py::arg("visible_bias"), py::arg("hidden_bias"), py::arg("k"), py::arg("key"), py::arg("step"),
        py::arg("units") = py::none());
  m.def("rbm_statistics", &statistics, py::arg("v"), py::arg("row_weights"), py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("units") = py::none(), py::arg("data") = 0, py::arg("centring") = py::none(),
        py::arg("sparsity") = py::none(), py::arg("weight_decay") = 0.0, py::arg("fixed_variance") = false,
        py::arg("scaled_steps") = false);
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
