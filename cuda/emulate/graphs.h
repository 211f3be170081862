// CUDA's graphs, as far as cuda/graph.cu uses them: nodes of kernels and copies in a chain, each behind the one before.
#pragma once

#include <cstddef>
#include <utility>

#include "emulate.h"

namespace dlcore::DLCORE_DEVICE {

namespace emulate {

// What CUDA knows of a kernel: how to call it with arguments of which it is given the addresses.
struct Function {
  const char* name;
  void (*kernel)();
  void (*call)(void (*kernel)(), void** arguments);
  const std::size_t* sizes;  // of the arguments
  std::size_t count;
};
// The same address for the same kernel.
const void* known(const Function& function);

template <typename... Parameters> struct Caller {
  static constexpr std::size_t sizes[] = {sizeof(Parameters)..., 0};
  static_assert(((alignof(Parameters) <= 16) && ...));
  template <std::size_t... i> static void call(void (*kernel)(), void** arguments, std::index_sequence<i...>) {
    reinterpret_cast<void (*)(Parameters...)>(kernel)(*static_cast<Parameters*>(arguments[i])...);
  }
  static const void* function(const char* name, void (*kernel)(Parameters...)) {
    return known({name, reinterpret_cast<void (*)()>(kernel),
                  [](void (*given)(), [[maybe_unused]] void** arguments) {
                    call(given, arguments, std::index_sequence_for<Parameters...>{});
                  },
                  sizes, sizeof...(Parameters)});
  }
};

struct GraphNode;
struct Graph;
struct GraphExec;

}  // namespace emulate

struct cudaKernelNodeParams {  // in CUDA's order; its names are those of macros here
  void* function;
  dim3 grid, block;
  unsigned shared_bytes;
  void** arguments;
  void** extra;
};
using cudaGraphNode_t = emulate::GraphNode*;
using cudaGraph_t = emulate::Graph*;
using cudaGraphExec_t = emulate::GraphExec*;

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned flags);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
// cudaErrorInvalidValue where the one node that the new one waits for is not the last of the graph.
cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* before,
                                   std::size_t count, const cudaKernelNodeParams* given);
cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* before,
                                     std::size_t count, void* to, const void* from, std::size_t bytes,
                                     cudaMemcpyKind kind);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* runnable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t runnable);
cudaError_t cudaGraphLaunch(cudaGraphExec_t runnable, cudaStream_t stream);

}  // namespace dlcore::DLCORE_DEVICE
