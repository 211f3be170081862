// One extension module: the same names and signatures for every device.
#include "../matmul/amx.h"
#include "../parallel.h"
#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Whether this processor has every instruction set that CMakeLists.txt compiles for; asked of the generic module, which
// runs anywhere.
py::dict cpu_features() {
  py::dict features;
#if defined(__x86_64__)
  const bool avx2 = bool(__builtin_cpu_supports("avx2")) && bool(__builtin_cpu_supports("fma")) &&
                    bool(__builtin_cpu_supports("bmi2"));
  features["avx2"] = avx2;
  const bool avx512 = avx2 && bool(__builtin_cpu_supports("avx512f")) && bool(__builtin_cpu_supports("avx512bw")) &&
                      bool(__builtin_cpu_supports("avx512dq")) && bool(__builtin_cpu_supports("avx512vl"));
  features["avx512"] = avx512;
  features["amx"] = avx512 && processor_has_tiles();
#endif
  return features;
}

void bind_runtime(py::module_& m) {
  m.def("cpu_features", &cpu_features);
  m.def("num_threads", &num_threads);
  m.def(
      "set_num_threads",
      [](const py::handle& n) {
        const auto integer = py::reinterpret_steal<py::object>(PyNumber_Index(n.ptr()));
        if (!integer) {
          PyErr_Clear();
          type_error("set_num_threads: n is a " + std::string(py::str(py::type::of(n).attr("__name__"))) +
                     ", expected an integer");
        }
        const Py_ssize_t count = PyNumber_AsSsize_t(integer.ptr(), nullptr);  // clips
        if (count < 1 || count > 1024)
          value_error("set_num_threads: n is " + std::string(py::str(integer)) + ", expected 1 to 1024");
        set_num_threads(static_cast<int>(count));
      },
      py::arg("n"));
  m.def("teams_started", &teams_started);
  m.def("set_full_teams", &set_full_teams, py::arg("on"));
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
  bind_plan(m);
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
