#include "plan.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <tuple>

#include "../movement.h"
#include "bind.h"
#include "optimizer_checks.h"

namespace dlcore::DLCORE_DEVICE {

namespace {

void stop_recording() {
  recorded = nullptr;
  recorded_clip = nullptr;
  use_arena(nullptr);
}

}  // namespace

Plan::Plan() : arena(new_arena()) {}
Plan::~Plan() {
  if (recorded == this) stop_recording();
  release_arena(arena);
}

void* Plan::bytes(std::size_t count) {
  constexpr std::size_t chunk = 16384, alignment = 16;
  count = (count + alignment - 1) / alignment * alignment;
  if (count > left_) {
    left_ = std::max(count, chunk);
    chunks_.push_back(std::make_unique<std::byte[]>(left_));
    next_ = chunks_.back().get();
  }
  void* place = next_;
  next_ += count;
  left_ -= count;
  return place;
}

void issue(Index work, Plan::Launch launch, std::size_t bytes) {
  const auto run = [&] { launch.run(launch.call); };
  Plan* const plan = recording();
  if (!plan) return without_gil(work, run);
  const OutsideArena outside;
  without_gil(work, run);
  void* place = plan->bytes(bytes);
  std::memcpy(place, launch.call, bytes);
  launch.call = place;
  plan->launches.push_back(launch);
  plan->work += work;
}

void Plan::keep(const Array& array) {
  if (array.storage()->arena != arena && !uses(array)) kept.push_back(array);
}

bool Plan::uses(const Array& array) const {
  return std::any_of(kept.begin(), kept.end(), [&](const Array& held) { return held.storage() == array.storage(); });
}

void Plan::note_written(const Array& array) {
  const auto is_known = [&](const Array& known) {
    return known.raw() == array.raw() && known.bytes() >= array.bytes();
  };
  if (array.storage()->arena != arena && std::none_of(written.begin(), written.end(), is_known))
    written.push_back(array);
}

void Plan::rewind_here() {
  const OutsideArena outside;
  for (std::size_t i = rewound.size(); i < written.size(); ++i)
    rewound.emplace_back(written[i], Array::empty(written[i].shape(), written[i].dtype()));
}

void Plan::save() const {
  for (const auto& [array, room] : rewound) copy_within(room.raw(), array.raw(), array.bytes());
}

void Plan::restore() const {
  for (const auto& [array, room] : rewound) copy_within(array.raw(), room.raw(), array.bytes());
}

const std::uint64_t* Plan::shift_of(std::uint64_t key, std::uint64_t step) {
  auto stream = std::find_if(streams.begin(), streams.end(), [key](const auto& known) { return known->key == key; });
  if (stream == streams.end()) stream = streams.insert(stream, std::make_unique<Stream>(Stream{key}));
  (*stream)->steps.push_back(step);
  (*stream)->launches.push_back(launches.size());
  return &(*stream)->shift;
}

void require_idle(const char* op, const Plan& plan) {
  if (plan.running || recorded == &plan)
    throw std::runtime_error(std::string(op) + ": the plan is being " + (plan.running ? "replayed" : "recorded"));
}

void write_numbers(const Plan& plan, const double* row, Index later) {
  for (const Plan::Field& field : plan.fields) {
    const double value = *row++;
    switch (field.kind) {
      case Plan::Kind::number: *static_cast<double*>(field.place) = value; break;
      case Plan::Kind::count: *static_cast<Index*>(field.place) = static_cast<Index>(value) + later; break;
      case Plan::Kind::flag: *static_cast<bool*>(field.place) = value != 0; break;
    }
  }
}

namespace {

void end(Plan& plan) {
  if (recorded != &plan) throw std::runtime_error("Plan.end: this thread does not record the plan");
  stop_recording();
}

using Shift = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;

void begin(Plan& plan) {
  require_idle("Plan.begin", plan);
  if (recorded) throw std::runtime_error("Plan.begin: this thread records another plan");
  if (!plan.launches.empty()) throw std::runtime_error("Plan.begin: the plan has been recorded");
  recorded = &plan;
  recorded_clip = nullptr;
  use_arena(plan.arena);
}

std::vector<Array> stage(Plan& plan, const std::vector<Array>& data, Index rows) {
  require_idle("Plan.stage", plan);
  std::vector<Array> staged;
  for (const Array& x : data) {
    if (x.ndim() == 0 || x.shape(0) < rows || rows < 1)
      value_error("Plan.stage: data is " + text(x.shape()) + ", expected at least " + std::to_string(rows) +
                  " rows, and rows >= 1");
    if (!plan.inputs.empty() && plan.inputs[0].data.shape(0) != x.shape(0))
      value_error("Plan.stage: numbers of rows differ: " + text(plan.inputs[0].data.shape()) + ", " + text(x.shape()));
    Shape shape = x.shape();
    shape[0] = rows;
    plan.inputs.push_back({x, new_array("Plan.stage", shape, x.dtype())});
    staged.push_back(plan.inputs.back().staged);
  }
  return staged;
}

// Rows first ... of the data, in `order` where there is one, into what the recorded step reads.
void fill_inputs(const Plan& plan, Index first, const std::int32_t* order) {
  for (const Plan::Input& input : plan.inputs) {
    const Index rows = input.staged.shape(0), stored = input.data.shape(0),
                columns = input.staged.shape().product(1, input.staged.ndim());
    const auto move = [&]<typename Word>(Word) {
      const Word* from = input.data.data<Word>();
      Word* to = input.staged.data<Word>();
      if (order) gather(rows, stored, columns, from, order + first, to);
      else copy_rows(1, rows * columns, from + first * columns, rows * columns, to, rows * columns);
    };
    if (item_size(input.data.dtype()) == 8) move(std::uint64_t{});
    else move(std::uint32_t{});
  }
}

void require_rows(const std::string& op, const Plan& plan, Index steps, Index first,
                  const std::optional<Array>& order) {
  if (order) {
    require_dtype(op.c_str(), "order", *order, DType::int32);
    require_ndim(op.c_str(), "order", *order, 1);
  }
  if (plan.inputs.empty()) return;
  const Index cases = order ? order->size() : plan.inputs[0].data.shape(0), batch = plan.inputs[0].staged.shape(0);
  if (first < 0 || first > cases || steps > (cases - first) / batch)
    value_error(op + ": " + std::to_string(steps) + " steps of " + std::to_string(batch) + " rows from " +
                std::to_string(first) + " do not lie within " + std::to_string(cases));
}

void bring(Plan& plan, Index first, const std::optional<Array>& order) {
  require_idle("Plan.bring", plan);
  require_rows("Plan.bring", plan, 1, first, order);
  fill_inputs(plan, first, order ? order->data<std::int32_t>() : nullptr);
}

// A replay ends where this number is not finite; without one, the newest figure.
double watch(Plan& plan, const std::optional<Array>& loss) {
  if (recorded != &plan) throw std::runtime_error("Plan.watch: this thread does not record the plan");
  if (loss) {
    require_float("Plan.watch", "loss", *loss);
    if (loss->size() != 1) value_error("Plan.watch: loss has shape " + text(loss->shape()) + ", expected one element");
    Figure figure;
    dispatch_float(loss->dtype(), [&]<typename T>(T) {
      launch(
          1, [](const T* from, double* to) { *to = static_cast<double>(value_at(from)); },
          const_cast<const T*>(loss->data<T>()), figure.place());
    });
  }
  if (plan.figures.empty()) throw std::runtime_error("Plan.watch: there is no figure");
  plan.stop = plan.launches.size();
  plan.stop_figure = plan.figures.size() - 1;
  return *plan.figures.back();
}

void run_steps(Plan& plan, Index steps, Index first, const std::int32_t* order, const std::vector<Shift>& shifts,
               const std::vector<double>& numbers) {
  using Clock = std::chrono::steady_clock;
  const bool rows = numbers.size() > plan.fields.size();
  const Index batch = plan.inputs.empty() ? 0 : plan.inputs[0].staged.shape(0);
  std::vector<std::pair<Plan::Stream*, const Shift*>> streams;
  for (const auto& stream : plan.streams)
    for (const Shift& shift : shifts)
      if (std::get<0>(shift) == stream->key) streams.emplace_back(stream.get(), &shift);
  auto next_look = Clock::now() + std::chrono::milliseconds(50);
  for (Index i = 0; i < steps; ++i) {
    if (Clock::now() >= next_look) {
      const py::gil_scoped_acquire acquire;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      next_look = Clock::now() + std::chrono::milliseconds(50);
    }
    fill_inputs(plan, first + i * batch, order);
    for (const auto& [stream, shift] : streams)
      stream->shift = std::get<1>(*shift) + static_cast<std::uint64_t>(i) * std::get<2>(*shift);
    if (rows || i == 0)
      write_numbers(plan, numbers.data() + (rows ? i * static_cast<Index>(plan.fields.size()) : 0), 0);
    else write_numbers(plan, numbers.data(), i);
    plan.save();
    plan.at = 0;
    bool stopped = false;
    try {
      plan.advance(plan.stop);
      stopped = plan.stop > 0 && !std::isfinite(*plan.figures[plan.stop_figure]);
      if (!stopped) plan.advance(plan.launches.size());
    } catch (const OtherAnswer&) {
      plan.restore();
      throw;
    }
    for (const double* figure : plan.figures) plan.found.push_back(*figure);
    if (!stopped || plan.stop == plan.launches.size()) ++plan.done;
    if (stopped) return;
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
  run_steps(plan, steps, first, order ? order->data<std::int32_t>() : nullptr, shifts, numbers);
}

// [(key, recorded step, launches before it), ...]
std::vector<std::tuple<std::uint64_t, std::uint64_t, std::size_t>> draws(const Plan& plan) {
  std::vector<std::tuple<std::uint64_t, std::uint64_t, std::size_t>> result;
  for (const auto& stream : plan.streams)
    for (std::size_t i = 0; i < stream->steps.size(); ++i)
      result.emplace_back(stream->key, stream->steps[i], stream->launches[i]);
  return result;
}

}  // namespace

void bind_plan(py::module_& m) {
  py::class_<Plan> plan(m, "Plan", py::module_local());
  plan.def(py::init<>())
      .def("stage", &stage, py::arg("data"), py::arg("rows"))
      .def("bring", &bring, py::arg("first"), py::arg("order") = py::none())
      .def("begin", &begin)
      .def("watch", &watch, py::arg("loss") = py::none())
      .def("end", &end)
      .def_property_readonly("is_recorded", [](const Plan& p) { return recorded == &p; })
      .def("run", &run, py::arg("steps"), py::arg("first") = 0, py::arg("order") = py::none(),
           py::arg("shifts") = std::vector<Shift>(), py::arg("numbers") = std::vector<double>())
      .def_readonly("done", &Plan::done)
      .def_readonly("found", &Plan::found)
      .def_readwrite("reason", &Plan::reason)
      .def_property_readonly("draws", &draws)
      .def_property_readonly("launches", [](const Plan& p) { return p.launches.size(); })
      .def_property_readonly("figures", [](const Plan& p) { return p.figures.size(); })
      .def_property_readonly("numbers", [](const Plan& p) { return p.fields.size(); })
      .def_property_readonly("arrays_alive", [](const Plan& p) { return blocks_in_use(p.arena); })
      .def_property_readonly("nbytes", [](const Plan& p) { return bytes_of(p.arena); });
  bind_plan_call(m, plan);
}

}  // namespace dlcore::DLCORE_DEVICE
