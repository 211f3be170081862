// Graphs of launches: nodes in a chain, made by running the launches with a Recorder in the place of the device.
#include "../csrc/graph.h"

#include <vector>

#include "launch.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

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

class Chain final : public Graph, private Recorder {
 public:
  Chain(const Launch* launches, std::size_t count, Arena* arena)
      : launches_(launches, launches + count), arena_(arena) {
    begin();
    const Recording recording(*this, arena_);
    for (const Launch& launch : launches_) {
      starts_.push_back(nodes_.size());
      launch.run(launch.call);
    }
    starts_.push_back(nodes_.size());
    finish();
  }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  ~Chain() override { end(); }

  void renew(std::size_t launch) override {
    next_ = starts_[launch];
    last_ = starts_[launch + 1];
    const Recording recording(*this, arena_);
    launches_[launch].run(launches_[launch].call);
    if (next_ != last_) throw std::runtime_error("graph: a launch has fewer kernels than when it was recorded");
  }

  void start() override;

 private:
  // The node whose arguments come next while they are renewed.
  std::size_t renewed() {
    if (next_ == last_) throw std::runtime_error("graph: a launch has more kernels than when it was recorded");
    return next_++;
  }
  void begin();
  void finish();
  void end() noexcept;
  void copy(void* to, const void* from, std::size_t bytes) override;
#ifdef __CUDACC__
  void kernel(const char* name, const Grid& grid, const void* function, void** arguments) override;

  std::vector<cudaGraphNode_t> nodes_;
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t runnable_ = nullptr;
#else
  void kernel(std::function<void()> run) override {
    if (ready_) nodes_[renewed()] = std::move(run);
    else nodes_.push_back(std::move(run));
  }

  std::vector<std::function<void()> > nodes_;
#endif
  bool ready_ = false;
  std::vector<Launch> launches_;
  std::vector<std::size_t> starts_;  // each launch's first node, and the end
  std::size_t next_ = 0, last_ = 0;
  Arena* arena_;
};

#ifdef __CUDACC__

void Chain::begin() { check(cudaGraphCreate(&graph_, 0), "cudaGraphCreate"); }

void Chain::finish() {
  check(cudaGraphInstantiate(&runnable_, graph_, 0), "cudaGraphInstantiate");
  ready_ = true;
}

void Chain::end() noexcept {
  if (runnable_) cudaGraphExecDestroy(runnable_);  // once it has run
  if (graph_) cudaGraphDestroy(graph_);
}

void Chain::start() {
  if (nodes_.empty()) return;
  const Turn turn;
  check(cudaGraphLaunch(runnable_, turn.stream()), "cudaGraphLaunch");
  check_launch("a graph", turn.stream());
  count_launch();
}

void Chain::kernel(const char* name, const Grid& grid, const void* function, void** arguments) {
  cudaKernelNodeParams given = {};
  given.func = const_cast<void*>(function);
  given.gridDim = grid.blocks;
  given.blockDim = grid.threads;
  given.sharedMemBytes = static_cast<unsigned>(grid.shared_bytes);
  given.kernelParams = arguments;
  if (ready_) return check(cudaGraphExecKernelNodeSetParams(runnable_, nodes_[renewed()], &given), name);
  cudaGraphNode_t node;
  const std::size_t before = nodes_.empty() ? 0 : 1;
  check(cudaGraphAddKernelNode(&node, graph_, before ? &nodes_.back() : nullptr, before, &given), name);
  nodes_.push_back(node);
}

void Chain::copy(void* to, const void* from, std::size_t bytes) {
  constexpr cudaMemcpyKind kind = cudaMemcpyDeviceToDevice;
  if (ready_)
    return check(cudaGraphExecMemcpyNodeSetParams1D(runnable_, nodes_[renewed()], to, from, bytes, kind), "cudaMemcpy");
  cudaGraphNode_t node;
  const std::size_t before = nodes_.empty() ? 0 : 1;
  check(cudaGraphAddMemcpyNode1D(&node, graph_, before ? &nodes_.back() : nullptr, before, to, from, bytes, kind),
        "cudaMemcpy");
  nodes_.push_back(node);
}

#else

void Chain::begin() {}
void Chain::finish() { ready_ = true; }
void Chain::end() noexcept {}
void Chain::start() {
  for (const auto& run : nodes_) run();
}
void Chain::copy(void* to, const void* from, std::size_t bytes) {
  kernel([=] { check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, nullptr), "cudaMemcpy"); });
}

#endif

}  // namespace

std::unique_ptr<Graph> make_graph(const Launch* launches, std::size_t count, Arena* arena) {
  try {
    return std::make_unique<Chain>(launches, count, arena);
  } catch (const NeedsHost&) { return nullptr; }
}

}  // namespace dlcore::DLCORE_DEVICE
