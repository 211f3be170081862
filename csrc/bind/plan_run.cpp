// Replays of a plan whose inputs are rows of data: the steps of a fit.
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <tuple>

#include "../movement.h"
#include "bind.h"
#include "plan_graphs.h"

namespace dlcore::DLCORE_DEVICE {

// Rows plan.first ... of the data, in plan.order where there is one, into what the recorded step reads.
void fill_inputs(const Plan& plan) {
  for (const Plan::Input& input : plan.inputs) {
    const Index rows = input.staged.shape(0), stored = input.data.shape(0),
                columns = input.staged.shape().product(1, input.staged.ndim());
    const auto move = [&]<typename Word>(Word) {
      const Word* from = input.data.data<Word>();
      Word* to = input.staged.data<Word>();
      if (plan.order) gather(rows, stored, columns, from, plan.order + plan.first, to);
      else copy_rows(1, rows * columns, from + plan.first * columns, rows * columns, to, rows * columns);
    };
    if (item_size(input.data.dtype()) == 8) move(std::uint64_t{});
    else move(std::uint32_t{});
  }
}

void require_rows(const std::string& op, Plan& plan, Index steps, Index first, const std::optional<Array>& order) {
  if (order) {
    require_dtype(op.c_str(), "order", *order, DType::int32);
    require_ndim(op.c_str(), "order", *order, 1);
  }
  plan.first = first;
  plan.order = order ? order->data<std::int32_t>() : nullptr;
  if (plan.inputs.empty()) return;
  const Index cases = order ? order->size() : plan.inputs[0].data.shape(0), batch = plan.inputs[0].staged.shape(0);
  if (first < 0 || first > cases || steps > (cases - first) / batch)
    value_error(op + ": " + std::to_string(steps) + " steps of " + std::to_string(batch) + " rows from " +
                std::to_string(first) + " do not lie within " + std::to_string(cases));
}

namespace {

using Clock = std::chrono::steady_clock;
using Shift = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;

// The steps of a run, with what each has of its own.
class Steps {
 public:
  Steps(Plan& plan, const std::vector<Shift>& shifts, const std::vector<double>& numbers)
      : plan_(plan), numbers_(numbers), first_(plan.first) {
    for (const auto& stream : plan.streams)
      for (const Shift& shift : shifts)
        if (std::get<0>(shift) == stream->key) streams_.emplace_back(stream.get(), &shift);
  }

  void set(Index i) const {
    plan_.first = first_ + i * (plan_.inputs.empty() ? 0 : plan_.inputs[0].staged.shape(0));
    for (const auto& [stream, shift] : streams_)
      stream->shift = std::get<1>(*shift) + static_cast<std::uint64_t>(i) * std::get<2>(*shift);
    const std::size_t each = plan_.fields.size();
    const bool has_rows = numbers_.size() > each;
    write_numbers(plan_, numbers_.data() + (has_rows ? static_cast<std::size_t>(i) * each : 0), has_rows ? 0 : i);
  }

  // Makes a step launch by launch; false where it ended at its figure.
  bool make(Index i) const {
    set(i);
    fill_inputs(plan_);
    plan_.save();
    plan_.at = 0;
    bool stopped = false;
    const auto figure = [this](std::size_t k) { return value_at(plan_.figures[k].data<double>()); };
    try {
      plan_.advance(plan_.stop);
      stopped = plan_.stop > 0 && !std::isfinite(figure(plan_.stop_figure));
      if (!stopped) plan_.advance(plan_.launches.size());
    } catch (const OtherAnswer&) {
      plan_.restore();
      throw;
    }
    for (std::size_t k = 0; k < plan_.figures.size(); ++k) plan_.found.push_back(figure(k));
    if (!stopped || plan_.stop == plan_.launches.size()) ++plan_.done;
    return !stopped;
  }

  // Makes steps begin ... as far as is worth issuing at once; false where one of them ended at its figure.
  bool issue(PlanGraphs& graphs, Index& begin, Index end) const {
    const Index count = graphs.next(end - begin, end), from = begin;
    if (graphs.issue(count, true, [this, from](Index i) { set(from + i); }, plan_.found)) {
      plan_.done += count;
      begin += count;
      return true;
    }
    for (; begin < from + count; ++begin)
      if (!make(begin)) return false;
    graphs.rethrow();
    return true;
  }

 private:
  Plan& plan_;
  const std::vector<double>& numbers_;
  Index first_;
  std::vector<std::pair<Plan::Stream*, const Shift*>> streams_;
};

void run_steps(Plan& plan, Index count, const Steps& steps) {
  PlanGraphs* const graphs = count > 0 ? graphs_of(plan) : nullptr;
  constexpr std::chrono::milliseconds patience(50);
  auto next_look = Clock::now() + patience;
  for (Index i = 0; i < count;) {
    if (Clock::now() >= next_look) {
      const py::gil_scoped_acquire acquire;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      next_look = Clock::now() + patience;
    }
    if (!(graphs ? steps.issue(*graphs, i, count) : steps.make(i++))) return;
  }
}

void run(Plan& plan, Index steps, Index first, const std::optional<Array>& order, const std::vector<Shift>& shifts,
         const std::vector<double>& numbers) {
  require_idle("Plan.run", plan);
  cannot_replay("a plan is replayed");
  if (!plan.reason.empty()) value_error("Plan.run: the step cannot be replayed: " + plan.reason);
  if (plan.launches.empty()) value_error("Plan.run: nothing was recorded");
  if (steps < 0) value_error("Plan.run: steps is " + std::to_string(steps) + ", expected at least 0");
  if (numbers.size() != plan.fields.size() &&
      (steps == 0 || numbers.size() != plan.fields.size() * static_cast<std::size_t>(steps)))
    value_error("Plan.run: " + std::to_string(numbers.size()) + " numbers, expected " +
                std::to_string(plan.fields.size()) + " or as many for each of " + std::to_string(steps) + " steps");
  require_rows("Plan.run", plan, steps, first, order);
  const Busy busy(plan);
  plan.done = 0;
  plan.found.clear();
  plan.found.reserve(static_cast<std::size_t>(steps) * plan.figures.size());
  const py::gil_scoped_release release;
  run_steps(plan, steps, Steps(plan, shifts, numbers));
}

}  // namespace

void bind_plan_run(py::class_<Plan>& plan) {
  plan.def("run", &run, py::arg("steps"), py::arg("first") = 0, py::arg("order") = py::none(),
           py::arg("shifts") = std::vector<Shift>(), py::arg("numbers") = std::vector<double>());
}

}  // namespace dlcore::DLCORE_DEVICE
