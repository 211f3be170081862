// A plan's steps as graphs (graph.h).
//
// The launches of a step, with the rows that come in before and the figures that come out behind, are cut into graphs,
// as long as can be, and launches that need the host. What a step has of its own (the steps of its draws, its
// optimizers' numbers, where its rows are) is a row of a table in the device's memory, which is written before a graph
// starts: so one graph may make all steps of a run, and starts again for the next without any change to it. A check of
// values in a graph leaves its answer on the device, and so do figures; the host looks at both when all are issued.
// Where one of the steps would have ended early or raised, what they wrote is put back, and they are made again by
// their launches, each waited for: so everything happens where it would without graphs.
#pragma once

#include <exception>
#include <functional>

#include "plan.h"

namespace dlcore::DLCORE_DEVICE {

class PlanGraphs {
 public:
  explicit PlanGraphs(Plan& plan);  // throws OutOfMemory
  PlanGraphs(const PlanGraphs&) = delete;
  PlanGraphs& operator=(const PlanGraphs&) = delete;

  // How many of the `left` steps of a run, which has `whole`, are worth issuing together.
  Index next(Index left, Index whole);
  // Makes so many steps, at most `most_steps`, and appends their figures; set(i) puts in place what step i has of its
  // own. `timed`: waits for them, and learns how long they take. False: nothing was done, and each launch must be
  // waited for; when this is done, `rethrow`.
  bool issue(Index steps, bool timed, const std::function<void(Index)>& set, std::vector<double>& found);
  void rethrow();

  const bool has_order;                  // of the rows that come in
  std::size_t count() const;             // of graphs
  Index nodes() const;                   // of those that make a step
  std::size_t launches_on_host() const;  // that stand between them
  Index issued = 0;                      // steps, so far
  Index started = 0;                     // graphs, so far
  Index steps_of_long = 0;               // that one graph makes, where there is one for many

 private:
  struct Workspaces {
    Arena* arena = new_arena();
    Workspaces() = default;
    Workspaces(const Workspaces&) = delete;
    Workspaces& operator=(const Workspaces&) = delete;
    ~Workspaces() { release_arena(arena); }
  };
  // A launch of a step, and what it has of its own in each.
  struct Part {
    Launch launch;
    Plan::Stream* stream = nullptr;        // of its draws
    std::uint64_t recorded = 0;            // a step of theirs
    bool has_streams = false;              // more than one
    std::size_t shift_at = 0, own_at = 0;  // in a row
    LaunchPrint print = {};
  };
  // Launches begin ... end - 1 of a step; without a graph they are called one by one.
  struct Stretch {
    std::size_t begin, end;
    std::unique_ptr<Graph> graph;
  };

  GraphReport* report() const { return static_cast<GraphReport*>(report_.raw()); }
  void add_draws(std::size_t first);
  void print_parts();
  Array new_table(Index steps) const;
  std::unique_ptr<Graph> make(std::size_t begin, std::size_t end, Index steps, const Array& table);
  void make_long(Index asked, Index whole);
  void write_row(std::byte* row) const;
  bool has_room(Index steps);
  void start(Graph& graph, const Array& table, Index first, Index steps);
  void run_steps(Index steps, const std::function<void(Index)>& set);
  void run_steps_with_host(Index steps, const std::function<void(Index)>& set);
  bool read(Index steps, std::vector<double>& found) const;

  Plan& plan_;
  Workspaces workspaces_;  // of all graphs: none of them runs beside another
  Array report_;
  std::vector<Part> parts_;  // of a step
  std::size_t row_bytes_ = 0;
  std::vector<std::byte> rows_;  // of the steps issued last,
  Array all_rows_;               // the same on the device, where a graph takes from into
  Array row_, long_rows_;        // the table of the graph of one step, and that of many
  std::vector<Stretch> stretches_;
  std::unique_ptr<Graph> long_;
  Index made_ = 0;  // steps of all graphs of many, so far
  Index pace_;      // steps that take no longer than the plan's patience, as far as is known
  bool is_timed_ = false, needs_host_ = false, may_fail_ = false, may_be_long_ = true;
  std::vector<std::pair<Array, Array>> before_;  // what steps write, with room for what was in it
  std::exception_ptr failure_;
};

// The plan's graphs, made where there are none yet; null: the device makes none, or has no memory for them.
PlanGraphs* graphs_of(Plan& plan);

}  // namespace dlcore::DLCORE_DEVICE
