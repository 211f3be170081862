// Launches that a device repeats by itself, without the host's part in each: CUDA graphs.
#pragma once

#include <cstddef>
#include <memory>

#include "memory.h"

namespace dlcore::DLCORE_DEVICE {

// A call of a kernel with all its arguments.
struct Launch {
  void (*run)(const void* call);
  const void* call;
};

class Graph {
 public:
  virtual ~Graph() = default;
  virtual void renew(std::size_t launch) = 0;  // takes the arguments that this launch has now
  virtual void start() = 0;                    // issues all
};

// None of the launches runs. Null where one of them needs the host in its midst (it waits for values, for example), and
// on a CPU. Workspaces that they take come from `arena`, which must live as long as the graph.
std::unique_ptr<Graph> make_graph(const Launch* launches, std::size_t count, Arena* arena);

}  // namespace dlcore::DLCORE_DEVICE
