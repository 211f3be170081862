#include "plan_graphs.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace dlcore::DLCORE_DEVICE {
namespace {

// Of a graph: a bound on the memory that it takes, and on the time to make it.
constexpr Index most_nodes = 32768;
constexpr Index most_steps = 16384;  // issued together: a report has room for the figures of all
// Steps whose time is measured first, and those of a graph that serves the rest of that run only.
constexpr Index first_steps = 8, steps_of_rest = 64;

struct ReportFigure {
  const double* figure;
  GraphReport* report;
  void operator()() const { report_figure(figure, report); }
};

constexpr std::size_t padded(std::size_t bytes) { return (bytes + own_alignment - 1) / own_alignment * own_alignment; }

// A plan's streams have their shifts back when the block ends.
class KeepShifts {
 public:
  explicit KeepShifts(const Plan& plan) : plan_(plan) {
    for (const auto& stream : plan.streams) shifts_.push_back(stream->shift);
  }
  ~KeepShifts() {
    for (std::size_t i = 0; i < shifts_.size(); ++i) plan_.streams[i]->shift = shifts_[i];
  }
  KeepShifts(const KeepShifts&) = delete;
  KeepShifts& operator=(const KeepShifts&) = delete;

 private:
  const Plan& plan_;
  std::vector<std::uint64_t> shifts_;
};

}  // namespace

PlanGraphs::PlanGraphs(Plan& plan) : has_order(plan.order != nullptr), plan_(plan), pace_(first_steps) {
  const OutsideArena outside;
  const auto figures = static_cast<Index>(plan.figures.size());
  report_ =
      Array::empty({static_cast<Index>(sizeof(GraphReport) / sizeof(double)) + most_steps * figures}, DType::float64);
  if (!plan.inputs.empty())
    parts_.push_back({{[](const void* given) { fill_inputs(*static_cast<const Plan*>(given)); }, &plan, true}});
  const std::size_t first = parts_.size();
  for (const Launch& launch : plan.launches) parts_.push_back({launch});
  for (const Array& figure : plan.figures)
    parts_.push_back({{[](const void* given) { (*static_cast<const ReportFigure*>(given))(); },
                       plan.copy(ReportFigure{figure.data<double>(), report()})}});
  add_draws(first);
  print_parts();
  row_ = new_table(1);
  may_fail_ = plan.stop > 0;
  for (std::size_t begin = 0, end; begin < parts_.size(); begin = end) {
    const bool fits = parts_[begin].print.fits;
    for (end = begin + 1; end < parts_.size() && parts_[end].print.fits == fits;) ++end;
    std::unique_ptr<Graph> graph;
    if (fits) graph = make(begin, end, 1, row_);
    needs_host_ |= !graph;
    may_fail_ |= !graph || graph->has_checks();
    stretches_.push_back({begin, end, std::move(graph)});
  }
  if (may_fail_)
    for (const Array& array : plan.written) before_.emplace_back(array, Array::empty(array.shape(), array.dtype()));
}

// Finds each launch's stream, and gives it a place in the rows.
void PlanGraphs::add_draws(std::size_t first) {
  for (const auto& stream : plan_.streams) {
    for (std::size_t i = 0; i < stream->launches.size(); ++i) {
      Part& part = parts_[first + stream->launches[i]];
      part.has_streams = part.stream && part.stream != stream.get();
      part.stream = stream.get();
      part.recorded = stream->steps[i];
      part.shift_at = row_bytes_;
    }
    row_bytes_ += sizeof stream->shift;
  }
  row_bytes_ = padded(row_bytes_);
}

void PlanGraphs::print_parts() {
  constexpr std::uint64_t rare = 0x9E3779B97F4A7C15;
  const KeepShifts keep(plan_);
  for (Part& part : parts_) {
    if (part.stream) part.stream->shift = rare - part.recorded;
    part.print = print_of(part.launch, workspaces_.arena, part.stream ? rare : 0);
    part.print.fits &= !part.has_streams;
    part.own_at = row_bytes_;
    row_bytes_ += part.print.own;
  }
}

Array PlanGraphs::new_table(Index steps) const {
  return Array::empty({steps * static_cast<Index>(row_bytes_ / sizeof(double))}, DType::float64);
}

std::unique_ptr<Graph> PlanGraphs::make(std::size_t begin, std::size_t end, Index steps, const Array& table) {
  const KeepShifts keep(plan_);
  for (const auto& stream : plan_.streams) stream->shift = 0;
  std::vector<GraphLaunch> launches;
  launches.reserve((end - begin) * static_cast<std::size_t>(steps));
  auto* row = static_cast<std::byte*>(table.raw());
  for (Index step = 0; step < steps; ++step, row += row_bytes_)
    for (std::size_t i = begin; i < end; ++i) {
      const Part& part = parts_[i];
      const void* shift = part.stream ? row + part.shift_at : nullptr;
      launches.push_back({&part.launch, static_cast<const std::uint64_t*>(shift), row + part.own_at});
    }
  return make_graph(launches, workspaces_.arena, report());
}

std::size_t PlanGraphs::count() const {
  const auto is_graph = [](const Stretch& stretch) { return stretch.graph != nullptr; };
  return static_cast<std::size_t>(std::count_if(stretches_.begin(), stretches_.end(), is_graph)) + (long_ ? 1 : 0);
}

Index PlanGraphs::nodes() const {
  std::size_t nodes = 0;
  for (const Stretch& stretch : stretches_) nodes += stretch.graph ? stretch.graph->nodes() : 0;
  return static_cast<Index>(nodes);
}

std::size_t PlanGraphs::launches_on_host() const {
  std::size_t count = 0;
  for (const Stretch& stretch : stretches_)
    if (!stretch.graph) count += stretch.end - stretch.begin;
  return count;
}

// A graph that makes a run in as few launches as its nodes and the plan's patience allow, where that saves half of
// them.
void PlanGraphs::make_long(Index asked, Index whole) {
  if (!may_be_long_ || needs_host_) return;
  if (steps_of_long > 2 * pace_) {  // they have become slower
    long_.reset();
    steps_of_long = 0;
  }
  const Index most = most_nodes / std::max<Index>(1, nodes());
  const Index at_once = std::min(most, pace_);
  if (at_once < 2 || (!is_timed_ && whole > asked)) return;
  Index steps = whole / ((whole + at_once - 1) / at_once);
  if (steps > asked) steps = long_ ? 0 : std::min({asked, most, steps_of_rest});
  const auto launches = [whole](Index each) { return each < 2 ? whole : whole / each + whole % each; };
  if (steps < 2 || 2 * launches(steps) > launches(steps_of_long)) return;
  if (made_ + steps > issued / 4 + 2 * whole) return;  // runs of changing lengths must not make graphs all the time
  made_ += steps;
  long_.reset();
  steps_of_long = 0;
  try {
    const OutsideArena outside;
    long_rows_ = new_table(steps);
    long_ = make(0, parts_.size(), steps, long_rows_);
    steps_of_long = steps;
  } catch (const std::bad_alloc&) { may_be_long_ = false; }
}

Index PlanGraphs::next(Index left, Index whole) {
  const Index steps = std::min(pace_, left);
  make_long(steps, whole);
  const Index together =
      long_ && steps_of_long <= left ? std::max<Index>(1, steps / steps_of_long) * steps_of_long : steps;
  return has_room(together) ? together : 1;
}

// For the rows of so many steps beside the tables.
bool PlanGraphs::has_room(Index steps) {
  const auto bytes = steps * static_cast<Index>(row_bytes_);
  if (steps == 1 || needs_host_ || (long_ && steps == steps_of_long) || bytes <= all_rows_.bytes()) return true;
  try {
    const OutsideArena outside;
    all_rows_ = new_table(steps);
  } catch (const std::bad_alloc&) { return false; }
  return true;
}

// What the step that is in place has of its own.
void PlanGraphs::write_row(std::byte* row) const {
  constexpr std::size_t bytes = sizeof(std::uint64_t);
  for (std::size_t i = 0; i < plan_.streams.size(); ++i) std::memcpy(row + i * bytes, &plan_.streams[i]->shift, bytes);
  for (const Part& part : parts_)
    if (part.print.own > 0) write_own(part.launch, part.print, workspaces_.arena, row + part.own_at);
}

// The graph of these steps of those that are issued.
void PlanGraphs::start(Graph& graph, const Array& table, Index first, Index steps) {
  const auto bytes = static_cast<Index>(row_bytes_);
  if (rows_.size() == static_cast<std::size_t>(steps) * row_bytes_)
    copy_from_host(table.raw(), rows_.data(), steps * bytes);
  else copy_within(table.raw(), static_cast<const std::byte*>(all_rows_.raw()) + first * bytes, steps * bytes);
  graph.start();
  ++started;
}

void PlanGraphs::run_steps(Index steps, const std::function<void(Index)>& set) {
  rows_.resize(static_cast<std::size_t>(steps) * row_bytes_);
  for (Index i = 0; i < steps; ++i) {
    set(i);
    write_row(rows_.data() + static_cast<std::size_t>(i) * row_bytes_);
  }
  if (steps > 1 && !(long_ && steps == steps_of_long))
    copy_from_host(all_rows_.raw(), rows_.data(), static_cast<Index>(rows_.size()));
  for (Index i = 0, together; i < steps; i += together) {
    const bool is_long = long_ && steps - i >= steps_of_long;
    together = is_long ? steps_of_long : 1;
    if (is_long) start(*long_, long_rows_, i, together);
    else start(*stretches_[0].graph, row_, i, together);
  }
}

// What the host does in a step may change what a launch behind it has of its own.
void PlanGraphs::run_steps_with_host(Index steps, const std::function<void(Index)>& set) {
  rows_.resize(row_bytes_);
  for (Index i = 0; i < steps; ++i) {
    set(i);
    for (const Stretch& stretch : stretches_) {
      if (stretch.graph) {
        write_row(rows_.data());
        start(*stretch.graph, row_, 0, 1);
      } else {
        for (std::size_t k = stretch.begin; k < stretch.end; ++k) parts_[k].launch.run(parts_[k].launch.call);
      }
    }
  }
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

bool PlanGraphs::issue(Index steps, bool timed, const std::function<void(Index)>& set, std::vector<double>& found) {
  using Clock = std::chrono::steady_clock;
  failure_ = nullptr;
  const auto begun = Clock::now();
  const bool is_read = timed || may_fail_ || !plan_.figures.empty();
  const GraphReport nothing;
  if (is_read) copy_from_host(report(), &nothing, sizeof nothing);
  for (const auto& [array, room] : before_) copy_within(room.raw(), array.raw(), array.bytes());
  try {
    if (needs_host_) run_steps_with_host(steps, set);
    else run_steps(steps, set);
    if (!is_read || read(steps, found)) {
      issued += steps;
      if (timed) {  // one that took long for once changes little
        const double each = std::chrono::duration<double>(Clock::now() - begun).count() / static_cast<double>(steps);
        const double fitting = std::min(plan_.patience / each, static_cast<double>(most_steps));
        pace_ = std::max({static_cast<Index>(fitting), pace_ / 4, first_steps});
        is_timed_ = true;
      }
      return true;
    }
  } catch (const std::bad_alloc&) {  // the steps are made again without their graph, and so are those behind them
    if (!may_fail_) throw;
    long_.reset();
    steps_of_long = 0;
    may_be_long_ = false;
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
  if (!plan.may_have_graphs || !makes_graphs()) return nullptr;
  // Rows in an order are brought in by another kernel than those that follow each other.
  if (plan.graphs && plan.graphs->has_order != (plan.order != nullptr)) plan.graphs.reset();
  try {
    if (!plan.graphs) plan.graphs = std::make_unique<PlanGraphs>(plan);
  } catch (const std::bad_alloc&) { plan.may_have_graphs = false; }
  return plan.graphs.get();
}

}  // namespace dlcore::DLCORE_DEVICE
