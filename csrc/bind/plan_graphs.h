// A plan's steps as graphs (graph.h).
//
// The launches of a step, with the rows that come in before and the figures that come out behind, are cut into graphs,
// as long as can be, and launches that need the host. Many steps are issued without a wait. A check of values in a
// graph leaves its answer on the device, and so do figures; the host looks at both when all are issued. Where one of
// the steps would have ended early or raised, what they wrote is put back, and they are made again by their launches,
// each waited for: so everything happens where it would without graphs.
#pragma once

#include <exception>
#include <functional>

#include "plan.h"

namespace dlcore::DLCORE_DEVICE {

class PlanGraphs {
 public:
  explicit PlanGraphs(Plan& plan);
  PlanGraphs(const PlanGraphs&) = delete;
  PlanGraphs& operator=(const PlanGraphs&) = delete;

  // Makes so many steps of at most `most_steps`, and appends their figures; set(i) puts in place what step i has of its
  // own, and `whole` is how many the run has. False: nothing was done, and each launch must be waited for; when this is
  // done, `rethrow`.
  bool issue(Index steps, Index whole, const std::function<void(Index)>& set, std::vector<double>& found);
  void rethrow();

  const bool has_order;  // of the rows that come in
  static constexpr Index least_steps = 8, most_steps = 512;
  std::size_t count() const;             // of graphs
  std::size_t launches_on_host() const;  // that stand between them
  Index issued = 0;                      // steps, so far
  Index steps_of_long = 0;               // that one graph makes, where there is one for many
  Index pace = least_steps;              // steps that are worth issuing together

 private:
  struct Workspaces {
    Arena* arena = new_arena();
    Workspaces() = default;
    Workspaces(const Workspaces&) = delete;
    Workspaces& operator=(const Workspaces&) = delete;
    ~Workspaces() { release_arena(arena); }
  };
  // Launches begin ... end - 1 of a step; without a graph they are called one by one.
  struct Stretch {
    std::size_t begin, end;
    std::unique_ptr<Graph> graph;
  };

  GraphReport* report() const { return static_cast<GraphReport*>(report_.raw()); }
  void make_long(Index asked, Index whole);
  void run_step();
  void run_long(Index first, const std::function<void(Index)>& set);
  bool read(Index steps, std::vector<double>& found) const;

  Plan& plan_;
  Workspaces workspaces_;  // of all graphs: none of them runs beside another
  Array report_;
  std::vector<Launch> launches_;  // of a step
  std::vector<std::size_t> varying_;
  std::vector<Stretch> stretches_;
  std::unique_ptr<Graph> long_;
  bool may_fail_ = false;
  std::vector<std::pair<Array, Array>> before_;  // what steps write, with room for what was in it
  std::exception_ptr failure_;
};

// The plan's graphs, made where there are none yet; null: the device makes none.
PlanGraphs* graphs_of(Plan& plan);

}  // namespace dlcore::DLCORE_DEVICE
