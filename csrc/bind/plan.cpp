#include "plan.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <tuple>

#include "../elementwise.h"
#include "bind.h"
#include "optimizer_checks.h"
#include "plan_graphs.h"

namespace dlcore::DLCORE_DEVICE {

namespace {

void stop_recording() {
  recorded = nullptr;
  recorded_clip = {};
  use_arena(nullptr);
}

}  // namespace

Plan::Plan() : arena(new_arena()) {}
Plan::~Plan() {
  if (recorded == this) stop_recording();
  graphs.reset();
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

void run_and_record(Index work, Launch launch, std::size_t bytes) {
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

void begin(Plan& plan) {
  require_idle("Plan.begin", plan);
  if (recorded) throw std::runtime_error("Plan.begin: this thread records another plan");
  if (!plan.launches.empty()) throw std::runtime_error("Plan.begin: the plan has been recorded");
  recorded = &plan;
  recorded_clip = {};
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

void bring(Plan& plan, Index first, const std::optional<Array>& order) {
  require_idle("Plan.bring", plan);
  require_rows("Plan.bring", plan, 1, first, order);
  fill_inputs(plan);
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
          1,
          [](const T* from, double* to) {
            if constexpr (std::is_same_v<T, double>) copy_within(to, from, sizeof *to);
            else cast(1, from, to);
          },
          const_cast<const T*>(loss->data<T>()), figure.place());
    });
  }
  if (plan.figures.empty()) throw std::runtime_error("Plan.watch: there is no figure");
  plan.stop = plan.launches.size();
  plan.stop_figure = plan.figures.size() - 1;
  return value_at(plan.figures.back().data<double>());
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
      .def_readonly("done", &Plan::done)
      .def_readonly("found", &Plan::found)
      .def_readwrite("reason", &Plan::reason)
      .def_property_readonly("draws", &draws)
      .def_property_readonly("launches", [](const Plan& p) { return p.launches.size(); })
      .def_property_readonly("graphs", [](const Plan& p) { return p.graphs ? p.graphs->count() : 0; })
      .def_property_readonly("steps_of_graph", [](const Plan& p) { return p.graphs ? p.graphs->steps_of_long : 0; })
      .def_property_readonly("launches_on_host",
                             [](const Plan& p) { return p.graphs ? p.graphs->launches_on_host() : p.launches.size(); })
      .def_property_readonly("steps_by_graphs", [](const Plan& p) { return p.graphs ? p.graphs->issued : 0; })
      .def_property_readonly("graphs_started", [](const Plan& p) { return p.graphs ? p.graphs->started : 0; })
      .def_property_readonly("nodes", [](const Plan& p) { return p.graphs ? p.graphs->nodes() : 0; })
      .def_readwrite("patience", &Plan::patience)
      .def_property_readonly("figures", [](const Plan& p) { return p.figures.size(); })
      .def_property_readonly("numbers", [](const Plan& p) { return p.fields.size(); })
      .def_property_readonly("arrays_alive", [](const Plan& p) { return blocks_in_use(p.arena); })
      .def_property_readonly("nbytes", [](const Plan& p) { return bytes_of(p.arena); });
  bind_plan_run(plan);
  bind_plan_call(m, plan);
}

}  // namespace dlcore::DLCORE_DEVICE
