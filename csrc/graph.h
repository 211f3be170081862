// Launches that a device repeats by itself, without the host's part in each: CUDA graphs. A CPU makes none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "memory.h"

namespace dlcore::DLCORE_DEVICE {

// A call of a kernel with all its arguments.
struct Launch {
  void (*run)(const void* call);
  const void* call;
  bool varies = false;  // it finds other arguments in each step, beside those of draws
};

// What graphs say when they have run: in a device's memory, with doubles behind it.
struct GraphReport {
  std::int64_t refused = 0;  // whether a check of values found what it must not
  std::int64_t figures = 0;  // how many doubles follow
};

// What a launch is for a graph.
struct LaunchPrint {
  bool fits = false;               // it does not wait for a value, and does not read or write the host's memory
  std::size_t own = 0;             // bytes that its kernels have of their own in each step, beside draws
  std::vector<std::byte> kernels;  // which they are
};

// A launch of a graph, and where in the device's memory its kernels find what they have of their own in its step.
struct GraphLaunch {
  const Launch* launch;
  const std::uint64_t* shift;  // what is added to the steps of its draws; null: nothing
  void* own;                   // the rest, as many bytes as its print says
};

class Graph {
 public:
  virtual ~Graph() = default;
  virtual void start() = 0;  // issues all
  virtual std::size_t nodes() const = 0;
  virtual bool has_checks() const = 0;
};

inline constexpr std::size_t own_alignment = 16;

// Whether this device makes graphs: not while allocations are checked, or DLCORE_CUDA_SYNC has every kernel waited for.
bool makes_graphs();
// None of these runs a launch. Their workspaces come from the arena, which must outlive the graph; so must the report,
// where checks of values leave their answer. A launch that draws at step `drawn` now, a number found nowhere else, does
// not fit where one of its kernels has that as an argument, as it would then have it in all steps.
LaunchPrint print_of(const Launch& launch, Arena* workspaces, std::uint64_t drawn);
// What the launch's kernels have of their own now, to the host's memory; std::runtime_error where they are others.
void write_own(const Launch& launch, const LaunchPrint& print, Arena* workspaces, void* own);
// Of launches that fit.
std::unique_ptr<Graph> make_graph(const std::vector<GraphLaunch>& launches, Arena* workspaces, GraphReport* report);
// A launch: puts a figure behind the report.
void report_figure(const double* figure, GraphReport* report);
// Where a graph is made: the gradient of the optimizer's launch that follows is multiplied by *factor, which is read on
// the device; true. Elsewhere nothing is done.
bool scales_in_graph(const double* factor);

bool allocations_are_checked();

}  // namespace dlcore::DLCORE_DEVICE
