#include "rbm.h"

#include <algorithm>

#include "../random.h"
#include "../rbm.h"
#include "random.h"
#include "rbm_chains.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

Array hidden(const Array& v, const Array& weight, const Array& hidden_bias, const py::handle& units) {
  const Parameters p = to_parameters("rbm_hidden", weight, nullptr, &hidden_bias, units);
  require_layer("rbm_hidden", "v", v, p, 0);
  const Index n = v.shape(0);
  Array result = new_array("rbm_hidden", {n, p.n_hidden()}, v.dtype());
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    launch(
        work(p, n), [](auto... arguments) { rbm_hidden(arguments...); }, to_rbm<T>(p), n, v.data<T>(),
        result.data<T>());
  });
  return result;
}

Array visible(const Array& h, const Array& weight, const Array& visible_bias, const py::handle& units) {
  const Parameters p = to_parameters("rbm_visible", weight, &visible_bias, nullptr, units);
  require_layer("rbm_visible", "h", h, p, 1);
  const Index n = h.shape(0);
  Array result = new_array("rbm_visible", {n, p.n_visible()}, h.dtype());
  dispatch_float(h.dtype(), [&]<typename T>(T) {
    launch(
        work(p, n), [](auto... arguments) { rbm_visible(arguments...); }, to_rbm<T>(p), n, h.data<T>(),
        result.data<T>());
  });
  return result;
}

py::tuple sample_hidden(const Array& v, const Array& weight, const Array& hidden_bias, const py::handle& key,
                        const py::handle& step, const py::handle& units) {
  constexpr const char* op = "rbm_sample_hidden";
  const Parameters p = to_parameters(op, weight, nullptr, &hidden_bias, units);
  require_layer(op, "v", v, p, 0);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_values(op, "v", v, p.segments);
  const Index n = v.shape(0);
  Array probabilities = new_array(op, {n, p.n_hidden()}, v.dtype());
  Array samples = new_array(op, {n, p.n_hidden()}, v.dtype());
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    launch(
        work(p, n),
        [](Rbm<T> rbm, Draw draw, Index cases, const T* given, T* means, T* states) {
          rbm_hidden(rbm, cases, given, means);
          rbm_draw_hidden(rbm, draw.key(), draw.step(), cases, means, states);
        },
        to_rbm<T>(p), Draw(key_, step_), n, v.data<T>(), probabilities.data<T>(), samples.data<T>());
  });
  return py::make_tuple(std::move(probabilities), std::move(samples));
}

py::tuple sample_visible(const Array& h, const Array& weight, const Array& visible_bias, const py::handle& key,
                         const py::handle& step, const py::handle& units) {
  constexpr const char* op = "rbm_sample_visible";
  const Parameters p = to_parameters(op, weight, &visible_bias, nullptr, units);
  require_layer(op, "h", h, p, 1);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_hidden(op, "h", h, p);
  const Index n = h.shape(0);
  Array probabilities = new_array(op, {n, p.n_visible()}, h.dtype());
  Array samples = new_array(op, {n, p.n_visible()}, h.dtype());
  dispatch_float(h.dtype(), [&]<typename T>(T) {
    launch(
        work(p, n),
        [](Rbm<T> rbm, Draw draw, Index cases, const T* given, T* means, T* states) {
          rbm_visible(rbm, cases, given, means);
          rbm_draw_visible(rbm, draw.key(), draw.step(), cases, means, states);
        },
        to_rbm<T>(p), Draw(key_, step_), n, h.data<T>(), probabilities.data<T>(), samples.data<T>());
  });
  return py::make_tuple(std::move(probabilities), std::move(samples));
}

py::tuple gibbs(const Array& v, const Array& weight, const Array& visible_bias, const Array& hidden_bias,
                const py::handle& k, const py::handle& key, const py::handle& step, const py::handle& units) {
  constexpr const char* op = "rbm_gibbs";
  const Parameters p = to_parameters(op, weight, &visible_bias, &hidden_bias, units);
  require_layer(op, "v", v, p, 0);
  const Index steps = to_steps(op, k);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_values(op, "v", v, p.segments);
  const Index n = v.shape(0);
  Array samples = new_array(op, v.shape(), v.dtype());
  Array probabilities = new_array(op, v.shape(), v.dtype());
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    launch(
        work(p, n) * steps,
        [](Rbm<T> rbm, Draw draw, Index cases, const T* from, Index count, T* states, T* means) {
          rbm_gibbs(rbm, cases, from, count, draw.key(), draw.step(), states, means, signals_now_and_then());
        },
        to_rbm<T>(p), Draw(key_, step_), n, v.data<T>(), steps, samples.data<T>(), probabilities.data<T>());
  });
  return py::make_tuple(std::move(samples), std::move(probabilities));
}

py::tuple cd(const Array& v, const Array& weight, const Array& visible_bias, const Array& hidden_bias,
             const py::handle& k, const py::handle& key, const py::handle& step, const std::optional<Array>& chains,
             const std::optional<Array>& out, const py::handle& units, const Centring& centring,
             const Sparsity& sparsity, double weight_decay, bool fixed_variance, bool scaled_steps) {
  constexpr const char* op = "rbm_cd";
  const Parameters p = to_parameters(op, weight, &visible_bias, &hidden_bias, units);
  require_layer(op, "v", v, p, 0);
  const Index n = v.shape(0);
  if (n == 0) value_error("rbm_cd: v has shape " + text(v.shape()) + ", expected at least one case");
  const Index steps = to_steps(op, k);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_values(op, "v", v, p.segments);
  require_terms(op, p, centring, sparsity, weight_decay);
  std::vector<Named> written,
      read{{"v", v}, {"weight", weight}, {"visible_bias", visible_bias}, {"hidden_bias", hidden_bias}};
  if (p.log_variance) read.emplace_back("log_variance", *p.log_variance);
  if (chains) {
    require_chains(op, *chains, p);
    written.emplace_back("chains", *chains);
  }
  if (centring) written.emplace_back("offsets", centring->first);
  if (sparsity) written.emplace_back("activity", std::get<0>(*sparsity));
  const Index size = weight.size() + p.n_visible() + p.n_hidden() + p.n_gaussian;
  if (out) {
    require_dtype(op, "out", *out, v.dtype());
    require_shape(op, "out", *out, {size});
    written.emplace_back("out", *out);
  }
  require_apart(op, written, read);
  const Array gradient = out ? *out : new_array(op, {size}, v.dtype());
  Figure error;
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    launch(
        work(p, n) * (steps + 2),
        [](Rbm<T> rbm, Draw draw, Index cases, const T* from, Index count, Index n_chains, T* states, T* to,
           ContrastTerms<T> terms, double* found) {
          rbm_cd(rbm, cases, from, count, draw.key(), draw.step(), n_chains, states, to, found, signals_now_and_then(),
                 terms);
        },
        to_rbm<T>(p), Draw(key_, step_), n, v.data<T>(), steps, chains ? chains->shape(0) : 0,
        chains ? chains->data<T>() : nullptr, gradient.data<T>(),
        to_terms<T>(centring, sparsity, weight_decay, fixed_variance, scaled_steps), error.place());
  });
  return py::make_tuple(gradient, chains ? py::object(py::none()) : py::float_(error.value()));
}

Array free_energy(const Array& v, const Array& weight, const Array& visible_bias, const Array& hidden_bias,
                  const py::handle& units) {
  const Parameters p = to_parameters("rbm_free_energy", weight, &visible_bias, &hidden_bias, units);
  require_layer("rbm_free_energy", "v", v, p, 0);
  const Index n = v.shape(0);
  Array energy = new_array("rbm_free_energy", {n}, v.dtype());
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    launch(
        work(p, n), [](auto... arguments) { rbm_free_energy(arguments...); }, to_rbm<T>(p), n, v.data<T>(),
        energy.data<T>());
  });
  return energy;
}

double log_partition(const Array& weight, const Array& visible_bias, const Array& hidden_bias, const py::handle& first,
                     const py::handle& count, const py::handle& units) {
  constexpr const char* op = "rbm_log_partition";
  const Parameters p = to_parameters(op, weight, &visible_bias, &hidden_bias, units);
  const Index states =
      rbm_states(p.n_visible(), p.n_hidden(), p.segments.data(), static_cast<Index>(p.segments.size()), p.hidden);
  if (states < 0 && p.segments.empty())
    value_error(std::string(op) + ": the smaller layer has " + std::to_string(std::min(p.n_visible(), p.n_hidden())) +
                " units, expected at most " + std::to_string(rbm_max_enumerated));
  if (states < 0)
    value_error(std::string(op) + ": no layer has at most 2**" + std::to_string(rbm_max_enumerated) +
                " states; weight is " + text(weight.shape()));
  const Index first_ = static_cast<Index>(to_counter(op, "first", first, 62));
  if (first_ >= states)
    value_error(std::string(op) + ": first is " + std::to_string(first_) + ", there are " + std::to_string(states) +
                " states");
  const Index count_ = count.is_none() ? states - first_ : static_cast<Index>(to_counter(op, "count", count, 62));
  if (count_ < 1 || count_ > states - first_)
    value_error(std::string(op) + ": count is " + std::to_string(count_) + ", expected 1 to " +
                std::to_string(states - first_));
  cannot_replay("rbm_log_partition reads a value");
  double result = 0;
  dispatch_float(weight.dtype(), [&]<typename T>(T) {
    without_gil(weight.size() + count_ * std::max(p.n_visible(), p.n_hidden()),
                [&] { result = rbm_log_partition(to_rbm<T>(p), first_, count_); });
  });
  return result;
}

void ais(const Array& v, const Array& weight, const Array& visible_bias, const Array& hidden_bias,
         const Array& base_bias, const Array& betas, const py::handle& key, const py::handle& step,
         const Array& log_weights) {
  constexpr const char* op = "rbm_ais";
  const Parameters p = to_parameters(op, weight, &visible_bias, &hidden_bias);
  require_layer(op, "v", v, p, 0);
  require_same_dtype(op, "weight", weight, "base_bias", base_bias);
  require_shape(op, "base_bias", base_bias, {p.n_visible()});
  require_dtype(op, "betas", betas, DType::float64);
  require_ndim(op, "betas", betas, 1);
  if (betas.size() < 2) value_error("rbm_ais: betas has shape " + text(betas.shape()) + ", expected at least two");
  require_dtype(op, "log_weights", log_weights, DType::float64);
  const Index n = v.shape(0), steps = betas.size() - 1;
  require_shape(op, "log_weights", log_weights, {n});
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_unit_interval(op, "betas", betas);
  require_unit_interval(op, "v", v);
  require_apart(op, {{"v", v}, {"log_weights", log_weights}},
                {{"weight", weight},
                 {"visible_bias", visible_bias},
                 {"hidden_bias", hidden_bias},
                 {"base_bias", base_bias},
                 {"betas", betas}});
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    launch(
        work(p, n) * steps,
        [](Draw draw, Rbm<T> rbm, const T* base, Index cases, T* states, Index count, const double* beta,
           double* weights) { rbm_ais(rbm, base, cases, states, count, beta, draw.key(), draw.step(), weights); },
        Draw(key_, step_), to_rbm<T>(p), base_bias.data<T>(), n, v.data<T>(), steps, betas.data<double>(),
        log_weights.data<double>());
  });
}

Array pseudo_log_likelihood(const Array& v, const Array& weight, const Array& visible_bias, const Array& hidden_bias) {
  constexpr const char* op = "rbm_pseudo_log_likelihood";
  const Parameters p = to_parameters(op, weight, &visible_bias, &hidden_bias);
  require_layer(op, "v", v, p, 0);
  require_unit_interval(op, "v", v);
  const Index n = v.shape(0);
  Array result = new_array(op, {n}, DType::float64);
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    launch(
        n * weight.size(), [](auto... arguments) { rbm_pseudo_log_likelihood(arguments...); }, to_rbm<T>(p), n,
        v.data<T>(), result.data<double>());
  });
  return result;
}

}  // namespace

void bind_rbm(py::module_& m) {
  m.def("rbm_hidden", &hidden, py::arg("v"), py::arg("weight"), py::arg("hidden_bias"), py::arg("units") = py::none());
  m.def("rbm_visible", &visible, py::arg("h"), py::arg("weight"), py::arg("visible_bias"),
        py::arg("units") = py::none());
  m.def("rbm_sample_hidden", &sample_hidden, py::arg("v"), py::arg("weight"), py::arg("hidden_bias"), py::arg("key"),
        py::arg("step"), py::arg("units") = py::none());
  m.def("rbm_sample_visible", &sample_visible, py::arg("h"), py::arg("weight"), py::arg("visible_bias"), py::arg("key"),
        py::arg("step"), py::arg("units") = py::none());
  m.def("rbm_gibbs", &gibbs, py::arg("v"), py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("k"), py::arg("key"), py::arg("step"), py::arg("units") = py::none());
  m.def("rbm_cd", &cd, py::arg("v"), py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"), py::arg("k"),
        py::arg("key"), py::arg("step"), py::arg("chains") = py::none(), py::arg("out") = py::none(),
        py::arg("units") = py::none(), py::arg("centring") = py::none(), py::arg("sparsity") = py::none(),
        py::arg("weight_decay") = 0.0, py::arg("fixed_variance") = false, py::arg("scaled_steps") = false);
  m.def("rbm_free_energy", &free_energy, py::arg("v"), py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("units") = py::none());
  m.def("rbm_log_partition", &log_partition, py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("first") = 0, py::arg("count") = py::none(), py::arg("units") = py::none());
  m.def("rbm_ais", &ais, py::arg("v"), py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("base_bias"), py::arg("betas"), py::arg("key"), py::arg("step"), py::arg("log_weights"));
  m.def("rbm_pseudo_log_likelihood", &pseudo_log_likelihood, py::arg("v"), py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"));
  bind_rbm_chains(m);
}

}  // namespace dlcore::DLCORE_DEVICE
