// What the bindings of the RBM share: its parameters, the kinds of its units, the checks of its layers.
#pragma once

#include <pybind11/stl.h>

#include <chrono>
#include <vector>

#include "../rbm.h"
#include "optimizer_checks.h"
#include "random.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

struct Parameters {
  Array weight;
  const Array* visible_bias;  // null where the function does not use it
  const Array* hidden_bias;
  std::vector<Segment> segments = {};  // empty: all visible units are Bernoulli
  std::optional<Array> log_variance = {};
  Index n_gaussian = 0;
  Unit hidden = Unit::bernoulli;
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

Unit to_unit(const char* op, const std::string& kind, const char* argument, bool with_softmax) {
  if (kind == "bernoulli") return Unit::bernoulli;
  if (kind == "gaussian") return Unit::gaussian;
  if (kind == "softmax" && with_softmax) return Unit::softmax;
  value_error(std::string(op) + ": " + argument + " are '" + kind + "', expected 'bernoulli'" +
              (with_softmax ? ", 'softmax'" : "") + " or 'gaussian'");
}

// `units` is None, or (visible, log_variance, hidden): visible units as triples (kind, units, units of a softmax group)
// in order, z of the Gaussian ones or None, the kind of all hidden units.
void read_units(const char* op, const py::handle& units, Parameters& p) {
  if (units.is_none()) return;
  using Triple = std::tuple<std::string, Index, Index>;
  using Units = std::tuple<std::vector<Triple>, std::optional<Array>, std::string>;
  Units given;
  try {
    given = py::cast<Units>(units);
  } catch (const py::cast_error&) {
    type_error(std::string(op) +
               ": units is not None or (triples (kind, units, group), log_variance or None, kind of the hidden units)");
  }
  const auto& [visible, log_variance, hidden] = given;
  Index first = 0;
  for (const auto& [kind, count, group] : visible) {
    const Unit unit = to_unit(op, kind, "visible units", true);
    const bool whole = count >= 0 && count <= p.n_visible() - first;
    if (whole && (group < 1 || count % group != 0 || (unit != Unit::softmax && group != 1)))
      value_error(std::string(op) + ": " + std::to_string(count) + " " + kind + " units are no groups of " +
                  std::to_string(group));
    if (!whole || (&kind == &std::get<0>(visible.back()) && first + count != p.n_visible()))
      value_error(std::string(op) + ": units of other numbers than weight, which is " + text(p.weight.shape()));
    p.segments.push_back({unit, first, first + count, group});
    first += count;
    if (unit == Unit::gaussian) p.n_gaussian += count;
  }
  p.hidden = to_unit(op, hidden, "hidden units", false);
  if (p.n_gaussian && p.hidden == Unit::gaussian)
    value_error(std::string(op) + ": gaussian units in both layers need not have a distribution");
  if ((p.n_gaussian > 0) != log_variance.has_value())
    value_error(std::string(op) + ": log_variance is " + (log_variance ? "given without" : "missing for") +
                " gaussian visible units");
  if (log_variance) {
    require_same_dtype(op, "weight", p.weight, "log_variance", *log_variance);
    require_shape(op, "log_variance", *log_variance, {p.n_gaussian});
    p.log_variance = log_variance;
  }
}

Parameters to_parameters(const char* op, const Array& weight, const Array* visible_bias, const Array* hidden_bias,
                         const py::handle& units = py::none()) {
  Parameters p{weight, visible_bias, hidden_bias};
  require_float(op, "weight", weight);
  require_ndim(op, "weight", weight, 2);
  if (visible_bias) {
    require_same_dtype(op, "weight", weight, "visible_bias", *visible_bias);
    require_shape(op, "visible_bias", *visible_bias, {p.n_visible()});
  }
  if (hidden_bias) {
    require_same_dtype(op, "weight", weight, "hidden_bias", *hidden_bias);
    require_shape(op, "hidden_bias", *hidden_bias, {p.n_hidden()});
  }
  read_units(op, units, p);
  return p;
}

// ValueError naming the first element of a layer that its units cannot have.
void require_values(const char* op, const char* argument, const Array& layer, const std::vector<Segment>& segments) {
  if (segments.empty()) return require_unit_interval(op, argument, layer);
  dispatch_float(layer.dtype(), [&]<typename T>(T) {
    launch(
        layer.size() / 4,
        [](const char* who, const char* what, Index rows, Index units, const Segment* kinds, Index n_kinds,
           const T* x) {
          const Index i = rbm_first_invalid(rows, units, kinds, n_kinds, x);
          if (i == rows * units) return;
          Unit kind = Unit::bernoulli;
          for (Index s = 0; s < n_kinds; ++s)
            if (i % units >= kinds[s].begin) kind = kinds[s].kind;
          value_error(std::string(who) + ": " + what + " is " + text(static_cast<double>(value_at(x, i))) + " at " +
                      text(Shape{i / units, i % units}) + ", expected " +
                      (kind == Unit::gaussian ? "finite numbers" : "numbers in [0, 1]"));
        },
        op, argument, layer.shape(0), layer.shape(1), kept(segments.data(), segments.size()),
        static_cast<Index>(segments.size()), const_cast<const T*>(layer.data<T>()));
  });
}
void require_hidden(const char* op, const char* argument, const Array& h, const Parameters& p) {
  require_layer(op, argument, h, p, 1);
  if (p.hidden == Unit::bernoulli) require_unit_interval(op, argument, h);
  else require_values(op, argument, h, {{Unit::gaussian, 0, p.n_hidden(), 1}});
}

void require_chains(const char* op, const Array& chains, const Parameters& p) {
  require_layer(op, "chains", chains, p, 1);
  if (chains.shape(0) == 0)
    value_error(std::string(op) + ": chains has shape " + text(chains.shape()) + ", expected at least one chain");
  require_hidden(op, "chains", chains, p);
}

Index to_steps(const char* op, const py::handle& k) {
  const std::uint64_t steps = to_counter(op, "k", k, 31);
  if (steps == 0) value_error(std::string(op) + ": k is 0, expected an integer >= 1");
  return static_cast<Index>(steps);
}

template <typename T> Rbm<T> to_rbm(const Parameters& p) {
  Rbm<T> rbm{p.n_visible(), p.n_hidden(), p.weight.data<T>(), p.visible_bias ? p.visible_bias->data<T>() : nullptr,
             p.hidden_bias ? p.hidden_bias->data<T>() : nullptr};
  if (!p.segments.empty()) {
    rbm.segments = kept(p.segments.data(), p.segments.size());
    rbm.n_segments = static_cast<Index>(p.segments.size());
  }
  rbm.log_variance = p.log_variance ? p.log_variance->data<T>() : nullptr;
  rbm.n_gaussian = p.n_gaussian;
  rbm.hidden = p.hidden;
  return rbm;
}

// What a contrastive gradient may have beside the statistics: (offsets, rate) and (q, target, cost, decay).
using Centring = std::optional<std::pair<Array, double>>;
using Sparsity = std::optional<std::tuple<Array, double, double, double>>;

void require_share(const char* op, const char* option, double value) {
  if (!(value >= 0 && value <= 1))
    value_error(std::string(op) + ": " + option + " is " + text(value) + ", expected a number in [0, 1]");
}

void require_terms(const char* op, const Parameters& p, const Centring& centring, const Sparsity& sparsity,
                   double weight_decay) {
  if (centring) {
    require_same_dtype(op, "offsets", centring->first, "weight", p.weight);
    require_shape(op, "offsets", centring->first, {p.n_visible() + p.n_hidden()});
    require_share(op, "offset rate", centring->second);
  }
  if (sparsity) {
    const auto& [activity, target, cost, decay] = *sparsity;
    if (p.hidden != Unit::bernoulli) value_error(std::string(op) + ": sparsity is for bernoulli hidden units");
    require_same_dtype(op, "activity", activity, "weight", p.weight);
    require_shape(op, "activity", activity, {p.n_hidden()});
    require_share(op, "sparsity target", target);
    require_not_negative(op, "sparsity cost", cost);
    require_share(op, "sparsity decay", decay);
  }
  require_not_negative(op, "weight_decay", weight_decay);
}

template <typename T>
ContrastTerms<T> to_terms(const Centring& centring, const Sparsity& sparsity, double weight_decay, bool fixed_variance,
                          bool scaled_steps) {
  ContrastTerms<T> terms;
  if (centring) {
    terms.offsets = centring->first.data<T>();
    terms.offset_rate = centring->second;
  }
  if (sparsity) {
    terms.activity = std::get<0>(*sparsity).data<T>();
    terms.sparsity_target = std::get<1>(*sparsity);
    terms.sparsity_cost = std::get<2>(*sparsity);
    terms.sparsity_decay = std::get<3>(*sparsity);
  }
  terms.weight_decay = weight_decay;
  terms.fixed_variance = fixed_variance;
  terms.scaled_steps = scaled_steps;
  return terms;
}

using Named = std::pair<const char*, Array>;

// `written`, which are noted, share memory neither with each other nor with what is `read`.
void require_apart(const char* op, const std::vector<Named>& written, const std::vector<Named>& read) {
  for (auto i = written.begin(); i != written.end(); ++i) {
    for (const auto& [name, array] : read) require_no_overlap(op, i->first, i->second, name, array);
    for (auto j = written.begin(); j != i; ++j) require_no_overlap(op, i->first, i->second, j->first, j->second);
  }
  for (const auto& [name, array] : written) note_write(array);
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

// In rough scalar operations, for launch.
Index work(const Parameters& p, Index n) { return n * p.weight.size() / 16 + n; }

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
