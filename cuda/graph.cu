// Graphs of launches: nodes in a chain, made by running the launches with a Recorder in the place of the device
// (recorder.cuh).
#include "../csrc/graph.h"

#include <cstring>
#include <utility>
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

void append(std::vector<std::byte>& bytes, const void* from, std::size_t size) {
  const auto* first = static_cast<const std::byte*>(from);
  bytes.insert(bytes.end(), first, first + size);
}

constexpr std::size_t padded(std::size_t bytes) { return (bytes + own_alignment - 1) / own_alignment * own_alignment; }

// Forgets what is recorded, but for what a launch has of its own in each step and which kernels it has.
class Printer final : public Recorder {
 public:
  Printer(const Launch& launch, Arena* arena, std::uint64_t drawn, void* row, std::size_t row_size = 0)
      : drawn_(drawn), row_(static_cast<std::byte*>(row)), row_size_(row_size), has_own_(launch.varies) {
    prints = true;
    const Recording recording(*this, arena);
    launch.run(launch.call);
  }
  std::vector<std::byte> kernels;
  std::size_t bytes = 0;  // of its own
  bool draws_by_value = false;

 private:
  void kernel(const Kernel& given) override {
    append(kernels, &given.function, sizeof given.function);
    append(kernels, &given.grid, sizeof given.grid);
    for (std::size_t i = 0; i < given.count; ++i) {
      const auto* const argument = static_cast<const std::byte*>(given.arguments[i]);
      std::uint64_t word = 0;
      for (std::size_t at = 0; at + sizeof word <= given.sizes[i]; at += sizeof word) {
        std::memcpy(&word, argument + at, sizeof word);
        draws_by_value |= drawn_ != 0 && word - drawn_ < steps_of_a_launch;
      }
    }
  }
  void copy(void*, const void*, std::size_t) override {}
  const void* own(const void* value, std::size_t size) override {
    if (!has_own_) return nullptr;
    if (row_ && bytes + size <= row_size_) std::memcpy(row_ + bytes, value, size);
    bytes += padded(size);
    return nullptr;
  }

  static constexpr std::uint64_t steps_of_a_launch = 1 << 20;  // at most, about
  const std::uint64_t drawn_;
  std::byte* const row_;
  const std::size_t row_size_;
  const bool has_own_;
};

struct Destroy {
  void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
  void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }  // one that runs goes on to its end
};
template <typename T> using Owned = std::unique_ptr<std::remove_pointer_t<T>, Destroy>;

// Nodes, each behind the one before.
class Chain final : public Graph, private Recorder {
 public:
  Chain(const std::vector<GraphLaunch>& launches, Arena* arena, GraphReport* to) {
    report = to;
    cudaGraph_t graph = nullptr;
    check(cudaGraphCreate(&graph, 0), "cudaGraphCreate");
    graph_.reset(graph);
    {
      const Recording recording(*this, arena);
      for (const auto& [launch, its_shift, its_own] : launches) {
        shift = its_shift;
        own_ = static_cast<const std::byte*>(launch->varies ? its_own : nullptr);
        factor = std::exchange(next_factor, nullptr);
        launch->run(launch->call);
      }
    }
    cudaGraphExec_t runnable = nullptr;
    check(cudaGraphInstantiate(&runnable, graph, 0), "cudaGraphInstantiate");
    runnable_.reset(runnable);
    graph_.reset();
  }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  void start() override {
    if (count_ == 0) return;
    const Turn turn;
    check(cudaGraphLaunch(runnable_.get(), turn.stream()), "cudaGraphLaunch");
    check_launch("a replayed step", turn.stream());
    count_launch();
  }
  std::size_t nodes() const override { return count_; }
  bool has_checks() const override { return checks > 0; }

 private:
  void kernel(const Kernel& given) override {
    const cudaKernelNodeParams parameters{const_cast<void*>(given.function),
                                          given.grid.blocks,
                                          given.grid.threads,
                                          static_cast<unsigned>(given.grid.shared_bytes),
                                          given.arguments,
                                          nullptr};
    cudaGraphNode_t node = nullptr;
    check(cudaGraphAddKernelNode(&node, graph_.get(), &last_, count_ == 0 ? 0 : 1, &parameters), given.name);
    last_ = node;
    ++count_;
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    cudaGraphNode_t node = nullptr;
    check(cudaGraphAddMemcpyNode1D(&node, graph_.get(), &last_, count_ == 0 ? 0 : 1, to, from, bytes,
                                   cudaMemcpyDeviceToDevice),
          "cudaMemcpy");
    last_ = node;
    ++count_;
  }
  const void* own(const void*, std::size_t bytes) override {
    const void* const place = own_;
    if (own_) own_ += padded(bytes);
    return place;
  }

  Owned<cudaGraph_t> graph_;  // while it is put together
  Owned<cudaGraphExec_t> runnable_;
  cudaGraphNode_t last_ = nullptr;
  std::size_t count_ = 0;
  const std::byte* own_ = nullptr;  // on the device: what the launch has next of its own
};

}  // namespace

void expect(const unsigned long long* x, unsigned long long good) {
  ++recorder->checks;
  launch("graph: check", expect_kernel, Grid{dim3(1), dim3(1)}, x, good, recorder->report);
}

bool makes_graphs() { return !allocations_are_checked() && !synchronizes_each_launch(); }

LaunchPrint print_of(const Launch& launch, Arena* workspaces, std::uint64_t drawn) {
  try {
    Printer printer(launch, workspaces, drawn, nullptr);
    return {!printer.draws_by_value, printer.bytes, std::move(printer.kernels)};
  } catch (const NeedsHost&) { return {}; }
}

void write_own(const Launch& launch, const LaunchPrint& print, Arena* workspaces, void* own) {
  const Printer printer(launch, workspaces, 0, own, print.own);
  if (printer.bytes != print.own || printer.kernels != print.kernels)
    throw std::runtime_error("graph: a launch is another than when it was recorded");
}

std::unique_ptr<Graph> make_graph(const std::vector<GraphLaunch>& launches, Arena* workspaces, GraphReport* report) {
  return std::make_unique<Chain>(launches, workspaces, report);
}

void report_figure(const double* figure, GraphReport* report) {
  launch("graph: figure", report_kernel, Grid{dim3(1), dim3(1)}, figure, report);
}

bool scales_in_graph(const double* factor) {
  if (!recorder) return false;
  if (!factor) throw NeedsHost("a factor is the host's");
  recorder->next_factor = factor;
  return true;
}

}  // namespace dlcore::DLCORE_DEVICE
