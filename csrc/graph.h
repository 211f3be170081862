// Launches that a device repeats by itself, without the host's part in each: CUDA graphs. A CPU makes none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "memory.h"

namespace dlcore::DLCORE_DEVICE {

// A call of a kernel with all its arguments.
struct Launch {
  void (*run)(const void* call);
  const void* call;
  bool varies = false;   // it finds other arguments in each step
  bool on_host = false;  // it changes the host's memory
};

// What graphs say when they have run: in a device's memory, with doubles behind it.
struct GraphReport {
  std::int64_t refused = 0;  // whether a check of values found what it must not
  std::int64_t figures = 0;  // how many doubles follow
};

class Graph {
 public:
  virtual ~Graph() = default;
  virtual void renew(std::size_t launch) = 0;  // takes the arguments that this launch has from now on
  virtual void start() = 0;                    // issues all
  virtual std::size_t nodes() const = 0;
  virtual bool has_checks() const = 0;
};

// Whether this device makes graphs: not while allocations are checked, or DLCORE_CUDA_SYNC has every kernel waited for.
bool makes_graphs();
// Whether a launch can be part of a graph: it does not wait for a value, and does not read or write the host's memory.
bool fits_graph(const Launch& launch, Arena* workspaces);
// Of launches that fit, none of which runs. Their workspaces come from the arena, which must outlive the graph; so must
// the report, where checks of values leave their answer.
std::unique_ptr<Graph> make_graph(const Launch* launches, std::size_t count, Arena* workspaces, GraphReport* report);
// A launch: puts a figure behind the report.
void report_figure(const double* figure, GraphReport* report);

bool allocations_are_checked();

}  // namespace dlcore::DLCORE_DEVICE
