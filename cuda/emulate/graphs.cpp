#include "graphs.h"

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace dlcore::DLCORE_DEVICE {
namespace emulate {

// What a node does: a kernel with its arguments, which are copied, or a copy where there is no function.
struct Work {
  const Function* function = nullptr;
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  std::vector<std::unique_ptr<std::max_align_t[]>> arguments;
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t bytes = 0;

  Work() = default;
  explicit Work(const cudaKernelNodeParams& given)
      : function(static_cast<const Function*>(given.function)),
        grid(given.grid),
        block(given.block),
        shared_bytes(given.shared_bytes) {
    for (std::size_t i = 0; i < function->count; ++i) {
      arguments.push_back(std::make_unique<std::max_align_t[]>(function->sizes[i] / sizeof(std::max_align_t) + 1));
      std::memcpy(arguments.back().get(), given.arguments[i], function->sizes[i]);
    }
  }
  Work(void* to_, const void* from_, std::size_t bytes_) : to(to_), from(from_), bytes(bytes_) {}

  cudaError_t operator()() const {
    if (!function) return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, nullptr);
    run(function->name, grid, block, shared_bytes, this, [](const void* context) {
      const Work& work = *static_cast<const Work*>(context);
      std::vector<void*> places;
      for (const auto& argument : work.arguments) places.push_back(argument.get());
      work.function->call(work.function->kernel, places.data());
    });
    return cudaSuccess;
  }
};

struct GraphNode {
  std::shared_ptr<const Work> work;
};
struct Graph {
  std::vector<std::unique_ptr<GraphNode>> nodes;
};
struct GraphExec {
  std::vector<std::shared_ptr<const Work>> works;
};

const void* known(const Function& function) {
  static std::mutex mutex;
  static auto* all = new std::map<void (*)(), Function>;
  const std::lock_guard lock(mutex);
  return &all->emplace(function.kernel, function).first->second;
}

namespace {

cudaError_t add(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* before, std::size_t count, Work work) {
  auto& nodes = graph->nodes;
  const bool is_chain = nodes.empty() ? count == 0 : count == 1 && *before == nodes.back().get();
  if (!is_chain) return cudaErrorInvalidValue;
  nodes.push_back(std::make_unique<GraphNode>(GraphNode{std::make_shared<const Work>(std::move(work))}));
  *node = nodes.back().get();
  return cudaSuccess;
}

}  // namespace
}  // namespace emulate

using emulate::Work;

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned) {
  *graph = new emulate::Graph;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* before,
                                   std::size_t count, const cudaKernelNodeParams* given) {
  return emulate::add(node, graph, before, count, Work(*given));
}
cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* before,
                                     std::size_t count, void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  return emulate::add(node, graph, before, count, Work(to, from, bytes));
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* runnable, cudaGraph_t graph, unsigned long long) {
  *runnable = new emulate::GraphExec;
  for (const auto& node : graph->nodes) (*runnable)->works.push_back(node->work);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t runnable) {
  delete runnable;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t runnable, cudaStream_t) {
  for (const auto& work : runnable->works)
    if (const cudaError_t error = (*work)(); error != cudaSuccess) return error;
  return cudaSuccess;
}

}  // namespace dlcore::DLCORE_DEVICE
