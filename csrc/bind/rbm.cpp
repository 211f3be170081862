#include "../rbm.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>

#include "../random.h"
#include "random.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

struct Parameters {
  const Array& weight;
  const Array* visible_bias;  // null where the function does not use it
  const Array* hidden_bias;
  Index n_visible() const { return weight.shape(0); }
  Index n_hidden() const { return weight.shape(1); }
};

// A layer of cases against the weight: its columns are those of axis 0 (visible units) or 1 (hidden units).
void require_layer(const char* op, const char* argument, const Array& layer, const Parameters& p, int axis) {
  require_same_dtype(op, argument, layer, "weight", p.weight);
  require_ndim(op, argument, layer, 2);
  if (layer.shape(1) != p.weight.shape(axis))
    value_error(std::string(op) + ": numbers of " + (axis ? "hidden" : "visible") + " units differ: " + argument +
                " is " + text(layer.shape()) + ", weight is " + text(p.weight.shape()));
}

void require_parameters(const char* op, const Parameters& p) {
  require_float(op, "weight", p.weight);
  require_ndim(op, "weight", p.weight, 2);
  if (p.visible_bias) {
    require_same_dtype(op, "weight", p.weight, "visible_bias", *p.visible_bias);
    require_shape(op, "visible_bias", *p.visible_bias, {p.n_visible()});
  }
  if (p.hidden_bias) {
    require_same_dtype(op, "weight", p.weight, "hidden_bias", *p.hidden_bias);
    require_shape(op, "hidden_bias", *p.hidden_bias, {p.n_hidden()});
  }
}

Index to_steps(const char* op, const py::handle& k) {
  const std::uint64_t steps = to_counter(op, "k", k, 31);
  if (steps == 0) value_error(std::string(op) + ": k is 0, expected an integer >= 1");
  return static_cast<Index>(steps);
}

template <typename T> Rbm<T> to_rbm(const Parameters& p) {
  return {p.n_visible(), p.n_hidden(), p.weight.data<T>(), p.visible_bias ? p.visible_bias->data<T>() : nullptr,
          p.hidden_bias ? p.hidden_bias->data<T>() : nullptr};
}

// Lets Ctrl-C through, every 50 ms: to ask for signals takes the GIL, for which a busy thread may let us wait.
Interruption signals_now_and_then() {
  using Clock = std::chrono::steady_clock;
  return [next = Clock::now() + std::chrono::milliseconds(50)]() mutable {
    if (Clock::now() < next) return;
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    next = Clock::now() + std::chrono::milliseconds(50);
  };
}

// In rough scalar operations, for without_gil.
Index work(const Parameters& p, Index n) { return n * p.weight.size() / 16 + n; }

Array hidden(const Array& v, const Array& weight, const Array& hidden_bias) {
  const Parameters p{weight, nullptr, &hidden_bias};
  require_parameters("rbm_hidden", p);
  require_layer("rbm_hidden", "v", v, p, 0);
  const Index n = v.shape(0);
  Array result = new_array("rbm_hidden", {n, p.n_hidden()}, v.dtype());
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    without_gil(work(p, n), [&] { rbm_hidden(to_rbm<T>(p), n, v.data<T>(), result.data<T>()); });
  });
  return result;
}

Array visible(const Array& h, const Array& weight, const Array& visible_bias) {
  const Parameters p{weight, &visible_bias, nullptr};
  require_parameters("rbm_visible", p);
  require_layer("rbm_visible", "h", h, p, 1);
  const Index n = h.shape(0);
  Array result = new_array("rbm_visible", {n, p.n_visible()}, h.dtype());
  dispatch_float(h.dtype(), [&]<typename T>(T) {
    without_gil(work(p, n), [&] { rbm_visible(to_rbm<T>(p), n, h.data<T>(), result.data<T>()); });
  });
  return result;
}

py::tuple sample_hidden(const Array& v, const Array& weight, const Array& hidden_bias, const py::handle& key,
                        const py::handle& step) {
  constexpr const char* op = "rbm_sample_hidden";
  const Parameters p{weight, nullptr, &hidden_bias};
  require_parameters(op, p);
  require_layer(op, "v", v, p, 0);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_unit_interval(op, "v", v);
  const Index n = v.shape(0);
  Array probabilities = new_array(op, {n, p.n_hidden()}, v.dtype());
  Array samples = new_array(op, {n, p.n_hidden()}, v.dtype());
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    without_gil(work(p, n), [&] {
      rbm_hidden(to_rbm<T>(p), n, v.data<T>(), probabilities.data<T>());
      bernoulli(key_, step_, samples.size(), probabilities.data<T>(), samples.data<T>());
    });
  });
  return py::make_tuple(std::move(probabilities), std::move(samples));
}

py::tuple sample_visible(const Array& h, const Array& weight, const Array& visible_bias, const py::handle& key,
                         const py::handle& step) {
  constexpr const char* op = "rbm_sample_visible";
  const Parameters p{weight, &visible_bias, nullptr};
  require_parameters(op, p);
  require_layer(op, "h", h, p, 1);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_unit_interval(op, "h", h);
  const Index n = h.shape(0);
  Array probabilities = new_array(op, {n, p.n_visible()}, h.dtype());
  Array samples = new_array(op, {n, p.n_visible()}, h.dtype());
  dispatch_float(h.dtype(), [&]<typename T>(T) {
    without_gil(work(p, n), [&] {
      rbm_visible(to_rbm<T>(p), n, h.data<T>(), probabilities.data<T>());
      bernoulli(key_, step_, samples.size(), probabilities.data<T>(), samples.data<T>());
    });
  });
  return py::make_tuple(std::move(probabilities), std::move(samples));
}

py::tuple gibbs(const Array& v, const Array& weight, const Array& visible_bias, const Array& hidden_bias,
                const py::handle& k, const py::handle& key, const py::handle& step) {
  constexpr const char* op = "rbm_gibbs";
  const Parameters p{weight, &visible_bias, &hidden_bias};
  require_parameters(op, p);
  require_layer(op, "v", v, p, 0);
  const Index steps = to_steps(op, k);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_unit_interval(op, "v", v);
  const Index n = v.shape(0);
  Array samples = new_array(op, v.shape(), v.dtype());
  Array probabilities = new_array(op, v.shape(), v.dtype());
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    without_gil(work(p, n) * steps, [&] {
      rbm_gibbs(to_rbm<T>(p), n, v.data<T>(), steps, key_, step_, samples.data<T>(), probabilities.data<T>(),
                signals_now_and_then());
    });
  });
  return py::make_tuple(std::move(samples), std::move(probabilities));
}

py::tuple cd(const Array& v, const Array& weight, const Array& visible_bias, const Array& hidden_bias,
             const py::handle& k, const py::handle& key, const py::handle& step, const std::optional<Array>& chains,
             const std::optional<Array>& out) {
  constexpr const char* op = "rbm_cd";
  const Parameters p{weight, &visible_bias, &hidden_bias};
  require_parameters(op, p);
  require_layer(op, "v", v, p, 0);
  const Index n = v.shape(0);
  if (n == 0) value_error("rbm_cd: v has shape " + text(v.shape()) + ", expected at least one case");
  const Index steps = to_steps(op, k);
  const std::uint64_t key_ = to_counter(op, "key", key), step_ = to_counter(op, "step", step);
  require_unit_interval(op, "v", v);
  const std::pair<const char*, const Array&> inputs[] = {
      {"v", v}, {"weight", weight}, {"visible_bias", visible_bias}, {"hidden_bias", hidden_bias}};
  if (chains) {
    require_layer(op, "chains", *chains, p, 1);
    if (chains->shape(0) == 0)
      value_error("rbm_cd: chains has shape " + text(chains->shape()) + ", expected at least one chain");
    require_unit_interval(op, "chains", *chains);
    for (const auto& [name, array] : inputs) require_no_overlap(op, "chains", *chains, name, array);
    note_write(*chains);
  }
  const Index size = weight.size() + p.n_visible() + p.n_hidden();
  const Array gradient = output_or_new(op, out, {size}, v.dtype());
  if (out) {
    for (const auto& [name, array] : inputs) require_no_overlap(op, "out", *out, name, array);
    if (chains) require_no_overlap(op, "out", *out, "chains", *chains);
  }
  double error = 0;
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    without_gil(work(p, n) * (steps + 2), [&] {
      error = rbm_cd(to_rbm<T>(p), n, v.data<T>(), steps, key_, step_, chains ? chains->shape(0) : 0,
                     chains ? chains->data<T>() : nullptr, gradient.data<T>(), signals_now_and_then());
    });
  });
  return py::make_tuple(gradient, chains ? py::object(py::none()) : py::float_(error));
}

Array free_energy(const Array& v, const Array& weight, const Array& visible_bias, const Array& hidden_bias) {
  const Parameters p{weight, &visible_bias, &hidden_bias};
  require_parameters("rbm_free_energy", p);
  require_layer("rbm_free_energy", "v", v, p, 0);
  const Index n = v.shape(0);
  Array energy = new_array("rbm_free_energy", {n}, v.dtype());
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    without_gil(work(p, n), [&] { rbm_free_energy(to_rbm<T>(p), n, v.data<T>(), energy.data<T>()); });
  });
  return energy;
}

double log_partition(const Array& weight, const Array& visible_bias, const Array& hidden_bias, const py::handle& first,
                     const py::handle& count) {
  constexpr const char* op = "rbm_log_partition";
  const Parameters p{weight, &visible_bias, &hidden_bias};
  require_parameters(op, p);
  const Index units = std::min(p.n_visible(), p.n_hidden());
  if (units > rbm_max_enumerated)
    value_error(std::string(op) + ": the smaller layer has " + std::to_string(units) + " units, expected at most " +
                std::to_string(rbm_max_enumerated));
  const Index states = Index{1} << units, first_ = static_cast<Index>(to_counter(op, "first", first, 62));
  if (first_ >= states)
    value_error(std::string(op) + ": first is " + std::to_string(first_) + ", there are " + std::to_string(states) +
                " states");
  const Index count_ = count.is_none() ? states - first_ : static_cast<Index>(to_counter(op, "count", count, 62));
  if (count_ < 1 || count_ > states - first_)
    value_error(std::string(op) + ": count is " + std::to_string(count_) + ", expected 1 to " +
                std::to_string(states - first_));
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
  const Parameters p{weight, &visible_bias, &hidden_bias};
  require_parameters(op, p);
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
  const std::pair<const char*, const Array&> inputs[] = {{"weight", weight},
                                                         {"visible_bias", visible_bias},
                                                         {"hidden_bias", hidden_bias},
                                                         {"base_bias", base_bias},
                                                         {"betas", betas}};
  for (const auto& [name, array] : inputs) {
    require_no_overlap(op, "v", v, name, array);
    require_no_overlap(op, "log_weights", log_weights, name, array);
  }
  require_no_overlap(op, "log_weights", log_weights, "v", v);
  note_write(v);
  note_write(log_weights);
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    without_gil(work(p, n) * steps, [&] {
      rbm_ais(to_rbm<T>(p), base_bias.data<T>(), n, v.data<T>(), steps, betas.data<double>(), key_, step_,
              log_weights.data<double>());
    });
  });
}

Array pseudo_log_likelihood(const Array& v, const Array& weight, const Array& visible_bias, const Array& hidden_bias) {
  constexpr const char* op = "rbm_pseudo_log_likelihood";
  const Parameters p{weight, &visible_bias, &hidden_bias};
  require_parameters(op, p);
  require_layer(op, "v", v, p, 0);
  require_unit_interval(op, "v", v);
  const Index n = v.shape(0);
  Array result = new_array(op, {n}, DType::float64);
  dispatch_float(v.dtype(), [&]<typename T>(T) {
    without_gil(n * weight.size(),
                [&] { rbm_pseudo_log_likelihood(to_rbm<T>(p), n, v.data<T>(), result.data<double>()); });
  });
  return result;
}

}  // namespace

void bind_rbm(py::module_& m) {
  m.def("rbm_hidden", &hidden, py::arg("v"), py::arg("weight"), py::arg("hidden_bias"));
  m.def("rbm_visible", &visible, py::arg("h"), py::arg("weight"), py::arg("visible_bias"));
  m.def("rbm_sample_hidden", &sample_hidden, py::arg("v"), py::arg("weight"), py::arg("hidden_bias"), py::arg("key"),
        py::arg("step"));
  m.def("rbm_sample_visible", &sample_visible, py::arg("h"), py::arg("weight"), py::arg("visible_bias"), py::arg("key"),
        py::arg("step"));
  m.def("rbm_gibbs", &gibbs, py::arg("v"), py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("k"), py::arg("key"), py::arg("step"));
  m.def("rbm_cd", &cd, py::arg("v"), py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"), py::arg("k"),
        py::arg("key"), py::arg("step"), py::arg("chains") = py::none(), py::arg("out") = py::none());
  m.def("rbm_free_energy", &free_energy, py::arg("v"), py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"));
  m.def("rbm_log_partition", &log_partition, py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("first") = 0, py::arg("count") = py::none());
  m.def("rbm_ais", &ais, py::arg("v"), py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("base_bias"), py::arg("betas"), py::arg("key"), py::arg("step"), py::arg("log_weights"));
  m.def("rbm_pseudo_log_likelihood", &pseudo_log_likelihood, py::arg("v"), py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"));
}

}  // namespace dlcore::DLCORE_DEVICE
