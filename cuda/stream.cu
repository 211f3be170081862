// Streams, errors, and what Python asks of a device module's runtime.
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "../csrc/device.h"
#include "../csrc/memory.h"
#include "../csrc/parallel.h"
#include "launch.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

std::atomic<int> thread_count{1};

#ifdef __CUDACC__
std::atomic<const char*> last_kernel{nullptr};
std::atomic<Index> launch_count{0};
std::mutex turn_mutex;
cudaStream_t last_stream = nullptr;  // under turn_mutex

// A thread's stream. When the thread ends it waits for the next thread: its work may be under way, and behind that
// work anybody's may come.
struct ThreadStream {
  cudaStream_t stream = nullptr;

  ThreadStream() {
    {
      const std::lock_guard lock(left().mutex);
      if (!left().streams.empty()) {
        stream = left().streams.back();
        left().streams.pop_back();
        return;
      }
    }
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~ThreadStream() {
    const std::lock_guard lock(left().mutex);
    try {
      left().streams.push_back(stream);
    } catch (const std::bad_alloc&) {}  // then one is lost
  }
  ThreadStream(const ThreadStream&) = delete;
  ThreadStream& operator=(const ThreadStream&) = delete;

 private:
  struct Left {
    std::mutex mutex;
    std::vector<cudaStream_t> streams;
  };
  static Left& left() {
    static Left* const instance = new Left;  // never destroyed: threads may end after static destructors
    return *instance;
  }
};
cudaStream_t this_stream() {
  thread_local ThreadStream own;
  return own.stream;
}

void wait_for(cudaStream_t stream, cudaStream_t before) {
  cudaEvent_t event;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  cudaError_t error = cudaEventRecord(event, before);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(stream, event, 0);
  cudaEventDestroy(event);  // once it has happened
  check(error, "cudaStreamWaitEvent");
}
#endif

}  // namespace

void throw_error(cudaError_t error, const char* what) {
#ifdef __CUDACC__
  cudaGetLastError();  // where it stays, the next kernel would be blamed for it
#endif
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(0);
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")");
}

bool synchronizes_each_launch() {
  static const char* setting = std::getenv("DLCORE_CUDA_SYNC");
  return setting && setting[0] == '1';
}

#ifdef __CUDACC__

Turn::Turn() : stream_(this_stream()) {
  turn_mutex.lock();
  if (last_stream == stream_) return;
  if (last_stream) try {
      wait_for(stream_, last_stream);
    } catch (...) {
      turn_mutex.unlock();
      throw;
    }
  last_stream = stream_;
}
Turn::~Turn() { turn_mutex.unlock(); }

void synchronize() {
  require_no_recorder("values are waited for");
  cudaStream_t stream;
  {
    const Turn turn;
    stream = turn.stream();
  }
  const char* kernel = last_kernel;
  check(cudaStreamSynchronize(stream), kernel ? kernel : "cudaStreamSynchronize");
}

void check_launch(const char* name, cudaStream_t stream) {
  check(cudaGetLastError(), name);
  last_kernel = name;
  if (synchronizes_each_launch()) check(cudaStreamSynchronize(stream), name);
}

int multiprocessors() {
  static const int n = [] {
    int device = 0, count = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
    return count;
  }();
  return n;
}

void count_launch() { ++launch_count; }
Index teams_started() { return launch_count; }
int num_threads() { return thread_count; }
void set_num_threads(int n) { thread_count = n; }

std::string device_problem() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
  return count > 0 ? "" : "the driver finds no device";
}

Place device_place() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return {2, device};
}

std::uintptr_t stream_handle() {
  const Turn turn;
  return reinterpret_cast<std::uintptr_t>(turn.stream());
}

void issue_before(std::uintptr_t stream) {
  const Turn turn;
  wait_for(reinterpret_cast<cudaStream_t>(stream), turn.stream());
}

void issue_after(std::uintptr_t stream) {
  const Turn turn;
  wait_for(turn.stream(), reinterpret_cast<cudaStream_t>(stream));
}

void wait_for_device() noexcept { cudaDeviceSynchronize(); }  // an error of a kernel comes up again

#else

Turn::Turn() : stream_(nullptr) {}
Turn::~Turn() = default;
std::string device_problem() { return ""; }
Place device_place() { return {2, 0}; }
std::uintptr_t stream_handle() { return 1; }  // work is done when its call returns: any stream will do
void issue_before(std::uintptr_t) {}
void issue_after(std::uintptr_t) {}
void wait_for_device() noexcept {}
void synchronize() { require_no_recorder("values are waited for"); }
void check_launch(const char*, cudaStream_t) {}
int multiprocessors() { return 1; }  // a small grid, so that its strides are taken
void count_launch() {}
Index teams_started() { return emulate::launches(); }
int num_threads() { return thread_count; }
void set_num_threads(int n) {
  thread_count = n;
  emulate::set_order(n);
}

#endif

void set_full_teams(bool) {}  // all threads of a launch take part

}  // namespace dlcore::DLCORE_DEVICE
