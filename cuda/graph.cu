// Graphs of launches: nodes in a chain, made by running the launches with a Recorder in the place of the device.
#include "../csrc/graph.h"

#include <cstring>
#include <vector>

#include "launch.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

__global__ void expect_kernel(const unsigned long long* x, unsigned long long good, GraphReport* report) {
  if (*x != good) report->refused = 1;
}

__global__ void report_kernel(const double* figure, GraphReport* report) {
  reinterpret_cast<double*>(report + 1)[report->figures++] = *figure;
}

class Recording {  // this thread's launches go to a recorder, and their workspaces come from an arena
 public:
  Recording(Recorder& to, Arena* arena) : arena_(use_arena(arena)) { recorder = &to; }
  ~Recording() {
    recorder = nullptr;
    use_arena(arena_);
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  Arena* arena_;
};

class Probe final : public Recorder {  // what is recorded is forgotten
 public:
  Probe() : Recorder(nullptr) {}
  void kernel(const Kernel&) override {}
  void copy(void*, const void*, std::size_t) override {}
};

struct Destroy {
  void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
  void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }  // one that runs goes on to its end
};
template <typename T> using Owned = std::unique_ptr<std::remove_pointer_t<T>, Destroy>;

// The nodes as CUDA has them, each behind the one before.
class Nodes {
 public:
  Nodes() {
    cudaGraph_t graph = nullptr;
    check(cudaGraphCreate(&graph, 0), "cudaGraphCreate");
    graph_.reset(graph);
  }

  void finish() {
    cudaGraphExec_t runnable = nullptr;
    check(cudaGraphInstantiate(&runnable, graph_.get(), 0), "cudaGraphInstantiate");
    runnable_.reset(runnable);
  }

  void add(const Kernel& kernel) {
    const cudaKernelNodeParams given = parameters(kernel);
    cudaGraphNode_t node = nullptr;
    check(cudaGraphAddKernelNode(&node, graph_.get(), last(), nodes_.empty() ? 0 : 1, &given), kernel.name);
    nodes_.push_back({node, packed(kernel)});
  }
  void add(void* to, const void* from, std::size_t bytes) {
    cudaGraphNode_t node = nullptr;
    check(cudaGraphAddMemcpyNode1D(&node, graph_.get(), last(), nodes_.empty() ? 0 : 1, to, from, bytes,
                                   cudaMemcpyDeviceToDevice),
          "cudaMemcpy");
    nodes_.push_back({node, packed(to, from, bytes)});
  }

  // Most nodes of a launch that varies have the arguments that they had.
  void renew(std::size_t i, const Kernel& kernel) {
    std::vector<std::byte> now = packed(kernel);
    if (now == nodes_[i].arguments) return;
    const cudaKernelNodeParams given = parameters(kernel);
    check(cudaGraphExecKernelNodeSetParams(runnable_.get(), nodes_[i].node, &given), kernel.name);
    nodes_[i].arguments = std::move(now);
  }
  void renew(std::size_t i, void* to, const void* from, std::size_t bytes) {
    check(
        cudaGraphExecMemcpyNodeSetParams1D(runnable_.get(), nodes_[i].node, to, from, bytes, cudaMemcpyDeviceToDevice),
        "cudaMemcpy");
  }

  void start() {
    if (nodes_.empty()) return;
    const Turn turn;
    check(cudaGraphLaunch(runnable_.get(), turn.stream()), "cudaGraphLaunch");
    check_launch("a replayed step", turn.stream());
    count_launch();
  }

  std::size_t count() const { return nodes_.size(); }

 private:
  struct Node {
    cudaGraphNode_t node;
    std::vector<std::byte> arguments;
  };
  const cudaGraphNode_t* last() const { return nodes_.empty() ? nullptr : &nodes_.back().node; }
  static cudaKernelNodeParams parameters(const Kernel& kernel) {
    return {const_cast<void*>(kernel.function),
            kernel.grid.blocks,
            kernel.grid.threads,
            static_cast<unsigned>(kernel.grid.shared_bytes),
            kernel.arguments,
            nullptr};
  }
  static void append(std::vector<std::byte>& bytes, const void* from, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(from);
    bytes.insert(bytes.end(), first, first + size);
  }
  static std::vector<std::byte> packed(const Kernel& kernel) {
    std::vector<std::byte> all;
    append(all, &kernel.function, sizeof kernel.function);
    append(all, &kernel.grid, sizeof kernel.grid);
    for (std::size_t i = 0; i < kernel.count; ++i) append(all, kernel.arguments[i], kernel.sizes[i]);
    return all;
  }
  static std::vector<std::byte> packed(const void* to, const void* from, std::size_t bytes) {
    std::vector<std::byte> all;
    append(all, &to, sizeof to);
    append(all, &from, sizeof from);
    append(all, &bytes, sizeof bytes);
    return all;
  }

  Owned<cudaGraph_t> graph_;
  Owned<cudaGraphExec_t> runnable_;
  std::vector<Node> nodes_;
};

class Chain final : public Graph, private Recorder {
 public:
  Chain(const Launch* launches, std::size_t count, Arena* arena, GraphReport* to)
      : Recorder(to), launches_(launches, launches + count), arena_(arena) {
    const Recording recording(*this, arena_);
    for (const Launch& launch : launches_) {
      starts_.push_back(nodes_.count());
      launch.run(launch.call);
    }
    starts_.push_back(nodes_.count());
    nodes_.finish();
    is_ready_ = true;
  }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  void renew(std::size_t launch) override {
    next_ = starts_[launch];
    last_ = starts_[launch + 1];
    const Recording recording(*this, arena_);
    launches_[launch].run(launches_[launch].call);
    if (next_ != last_) throw std::runtime_error("graph: a launch has fewer kernels than when it was recorded");
  }
  void start() override { nodes_.start(); }
  std::size_t nodes() const override { return nodes_.count(); }
  bool has_checks() const override { return checks > 0; }

 private:
  void kernel(const Kernel& given) override {
    if (is_ready_) nodes_.renew(renewed(), given);
    else nodes_.add(given);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (is_ready_) nodes_.renew(renewed(), to, from, bytes);
    else nodes_.add(to, from, bytes);
  }
  // The node whose arguments come next while they are renewed.
  std::size_t renewed() {
    if (next_ == last_) throw std::runtime_error("graph: a launch has more kernels than when it was recorded");
    return next_++;
  }

  Nodes nodes_;
  bool is_ready_ = false;
  std::vector<Launch> launches_;
  std::vector<std::size_t> starts_;  // each launch's first node, and the end
  std::size_t next_ = 0, last_ = 0;
  Arena* arena_;
};

}  // namespace

void expect(const unsigned long long* x, unsigned long long good) {
  ++recorder->checks;
  launch("graph: check", expect_kernel, Grid{dim3(1), dim3(1)}, x, good, recorder->report);
}

bool makes_graphs() { return !allocations_are_checked() && !synchronizes_each_launch(); }

bool fits_graph(const Launch& launch, Arena* workspaces) {
  if (launch.on_host) return false;
  Probe probe;
  const Recording recording(probe, workspaces);
  try {
    launch.run(launch.call);
  } catch (const NeedsHost&) { return false; }
  return true;
}

std::unique_ptr<Graph> make_graph(const Launch* launches, std::size_t count, Arena* workspaces, GraphReport* report) {
  return std::make_unique<Chain>(launches, count, workspaces, report);
}

void report_figure(const double* figure, GraphReport* report) {
  launch("graph: figure", report_kernel, Grid{dim3(1), dim3(1)}, figure, report);
}

}  // namespace dlcore::DLCORE_DEVICE
