#include "plan_graphs.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dlcore::DLCORE_DEVICE {
namespace {

// A graph of many steps has at most so many nodes, and steps: their arguments are renewed before it starts, which takes
// the host some microseconds a step.
constexpr Index most_nodes = 2048, most_steps_of_long = 64;

struct ReportFigure {
  const double* figure;
  GraphReport* report;
  void operator()() const { report_figure(figure, report); }
};

}  // namespace

PlanGraphs::PlanGraphs(Plan& plan) : has_order(plan.order != nullptr), plan_(plan) {
  const OutsideArena outside;
  const auto figures = static_cast<Index>(plan.figures.size());
  report_ =
      Array::empty({static_cast<Index>(sizeof(GraphReport) / sizeof(double)) + most_steps * figures}, DType::float64);
  if (!plan.inputs.empty())
    launches_.push_back({[](const void* given) { fill_inputs(*static_cast<const Plan*>(given)); }, &plan, true});
  launches_.insert(launches_.end(), plan.launches.begin(), plan.launches.end());
  for (const Array& figure : plan.figures)
    launches_.push_back({[](const void* given) { (*static_cast<const ReportFigure*>(given))(); },
                         plan.copy(ReportFigure{figure.data<double>(), report()})});
  std::vector<bool> fits;
  for (const Launch& launch : launches_) {
    if (launch.varies) varying_.push_back(fits.size());
    fits.push_back(fits_graph(launch, workspaces_.arena));
  }
  may_fail_ = plan.stop > 0;
  for (std::size_t begin = 0, end; begin < fits.size(); begin = end) {
    for (end = begin + 1; end < fits.size() && fits[end] == fits[begin];) ++end;
    std::unique_ptr<Graph> graph;
    if (fits[begin]) graph = make_graph(launches_.data() + begin, end - begin, workspaces_.arena, report());
    may_fail_ |= !graph || graph->has_checks();
    stretches_.push_back({begin, end, std::move(graph)});
  }
  if (may_fail_)
    for (const Array& array : plan.written) before_.emplace_back(array, Array::empty(array.shape(), array.dtype()));
}

std::size_t PlanGraphs::count() const {
  const auto is_graph = [](const Stretch& stretch) { return stretch.graph != nullptr; };
  return static_cast<std::size_t>(std::count_if(stretches_.begin(), stretches_.end(), is_graph)) + (long_ ? 1 : 0);
}

std::size_t PlanGraphs::launches_on_host() const {
  std::size_t count = 0;
  for (const Stretch& stretch : stretches_)
    if (!stretch.graph) count += stretch.end - stretch.begin;
  return count;
}

// A graph of as many steps as the run has and a graph may have, if so many are asked for.
void PlanGraphs::make_long(Index asked, Index whole) {
  if (stretches_.size() != 1 || !stretches_[0].graph) return;
  const auto nodes = std::max<Index>(1, static_cast<Index>(stretches_[0].graph->nodes()));
  const Index steps = std::min({whole, most_nodes / nodes, most_steps_of_long});
  if (steps < 2 || steps > asked || steps <= steps_of_long) return;
  std::vector<Launch> all;
  for (Index i = 0; i < steps; ++i) all.insert(all.end(), launches_.begin(), launches_.end());
  long_ = make_graph(all.data(), all.size(), workspaces_.arena, report());
  steps_of_long = steps;
}

void PlanGraphs::run_step() {
  for (const Stretch& stretch : stretches_) {
    if (!stretch.graph) {
      for (std::size_t i = stretch.begin; i < stretch.end; ++i) launches_[i].run(launches_[i].call);
      continue;
    }
    for (const std::size_t i : varying_)
      if (i >= stretch.begin && i < stretch.end) stretch.graph->renew(i - stretch.begin);
    stretch.graph->start();
  }
}

void PlanGraphs::run_long(Index first, const std::function<void(Index)>& set) {
  for (Index i = 0; i < steps_of_long; ++i) {
    set(first + i);
    for (const std::size_t launch : varying_) long_->renew(static_cast<std::size_t>(i) * launches_.size() + launch);
  }
  long_->start();
}

// Whether all went well; then the figures.
bool PlanGraphs::read(Index steps, std::vector<double>& found) const {
  const std::size_t each = plan_.figures.size();
  constexpr std::size_t header = sizeof(GraphReport) / sizeof(double);
  std::vector<double> words(header + static_cast<std::size_t>(steps) * each);
  copy_to_host(words.data(), report(), static_cast<Index>(words.size() * sizeof(double)));
  GraphReport said;
  std::memcpy(static_cast<void*>(&said), words.data(), sizeof said);
  if (said.refused != 0) return false;
  if (plan_.stop > 0)
    for (std::size_t i = header + plan_.stop_figure; i < words.size(); i += each)
      if (!std::isfinite(words[i])) return false;
  found.insert(found.end(), words.begin() + header, words.end());
  return true;
}

bool PlanGraphs::issue(Index steps, Index whole, const std::function<void(Index)>& set, std::vector<double>& found) {
  failure_ = nullptr;
  make_long(steps, whole);
  const bool is_read = may_fail_ || !plan_.figures.empty();
  const GraphReport nothing;
  if (is_read) copy_from_host(report(), &nothing, sizeof nothing);
  for (const auto& [array, room] : before_) copy_within(room.raw(), array.raw(), array.bytes());
  try {
    for (Index i = 0; i < steps;) {
      if (long_ && steps - i >= steps_of_long) {
        run_long(i, set);
        i += steps_of_long;
      } else {
        set(i++);
        run_step();
      }
    }
    if (!is_read || read(steps, found)) {
      issued += steps;
      return true;
    }
  } catch (...) {
    if (!may_fail_) throw;
    failure_ = std::current_exception();
  }
  for (const auto& [array, room] : before_) copy_within(array.raw(), room.raw(), array.bytes());
  return false;
}

void PlanGraphs::rethrow() {
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

PlanGraphs* graphs_of(Plan& plan) {
  if (!makes_graphs()) return nullptr;
  // Rows in an order are brought in by another kernel than those that follow each other.
  if (plan.graphs && plan.graphs->has_order != (plan.order != nullptr)) plan.graphs.reset();
  if (!plan.graphs) plan.graphs = std::make_unique<PlanGraphs>(plan);
  return plan.graphs.get();
}

}  // namespace dlcore::DLCORE_DEVICE
