// One extension module: the same names and signatures for every device.
#include "../parallel.h"
#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Instruction sets of this processor that some module may need; asked of the generic module, which runs anywhere.
py::dict cpu_features() {
  py::dict features;
#if defined(__x86_64__)
  features["avx2"] = bool(__builtin_cpu_supports("avx2")) && bool(__builtin_cpu_supports("fma"));
  features["avx512"] = bool(__builtin_cpu_supports("avx512f")) && bool(__builtin_cpu_supports("avx512bw")) &&
                       bool(__builtin_cpu_supports("avx512dq")) && bool(__builtin_cpu_supports("avx512vl"));
#endif
  return features;
}

void bind_runtime(py::module_& m) {
  m.def("cpu_features", &cpu_features);
  m.def("num_threads", &num_threads);
  m.def(
      "set_num_threads",
      [](int n) {
        if (n < 1 || n > 1024) value_error("set_num_threads: n is " + std::to_string(n) + ", expected 1 to 1024");
        set_num_threads(n);
      },
      py::arg("n"));
  m.def("memory_stats", [] {
    const MemoryStats stats = memory_stats();
    py::dict result;
    result["in_use"] = stats.in_use;
    result["cached"] = stats.cached;
    result["system_allocations"] = stats.system_allocations;
    return result;
  });
  m.def("release_cached_memory", &release_cached_memory);
  m.def("set_allocation_checks", &set_allocation_checks, py::arg("on"));
  m.def("guard_violations", &guard_violations);
  m.def("fail_allocation_after", &fail_allocation_after, py::arg("n"));
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE

PYBIND11_MODULE(DLCORE_MODULE, m) {
  using namespace dlcore::DLCORE_DEVICE;
  bind_array(m);
  bind_runtime(m);
  bind_elementwise(m);
  bind_movement(m);
  bind_reduce(m);
  bind_activation(m);
  bind_matmul(m);
  bind_conv(m);
  bind_pool(m);
  bind_loss(m);
  bind_random(m);
  bind_rbm(m);
  bind_optimizer(m);
}
