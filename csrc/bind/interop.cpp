// Arrays shared with other libraries: DLPack, and the pointers of __cuda_array_interface__.
#include <pybind11/stl.h>

#include <memory>

#include "../device.h"
#include "bind.h"
#include "dlpack.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Work that others have put on a device with the memory may not be done when they give it back.
struct Exported {
  Array array;  // keeps the memory alive
  dlpack::ManagedTensor managed;
  Exported() = default;
  ~Exported() { wait_for_device(); }
  Exported(const Exported&) = delete;
  Exported& operator=(const Exported&) = delete;
};

// Work on `stream` from now on finds the array's values; without one the consumer sees to that.
py::capsule to_dlpack(const Array& a, const std::optional<std::uintptr_t>& stream) {
  cannot_replay("an array is shared through DLPack");
  if (stream) issue_before(*stream);
  auto exported = std::make_unique<Exported>();
  exported->array = a;
  const Array& held = exported->array;
  dlpack::Tensor& tensor = exported->managed.tensor;
  tensor.data = held.raw();
  const Place place = device_place();
  tensor.device = {place.type, place.id};
  tensor.ndim = held.ndim();
  tensor.dtype = {static_cast<std::uint8_t>(held.dtype() == DType::int32 ? 0 : 2),
                  static_cast<std::uint8_t>(8 * item_size(held.dtype())), 1};
  tensor.shape = const_cast<Index*>(held.shape().dims);
  tensor.strides = nullptr;
  tensor.byte_offset = 0;
  exported->managed.context = exported.get();
  exported->managed.deleter = [](dlpack::ManagedTensor* self) { delete static_cast<Exported*>(self->context); };
  PyObject* capsule = PyCapsule_New(&exported->managed, "dltensor", [](PyObject* self) {
    if (!PyCapsule_IsValid(self, "dltensor")) return;  // a consumer renamed it and owns it now
    auto* managed = static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(self, "dltensor"));
    managed->deleter(managed);
  });
  if (!capsule) throw py::error_already_set();
  (void)exported.release();  // NOLINT: the capsule's destructor or the consumer deletes it
  return py::reinterpret_steal<py::capsule>(capsule);
}

Array from_dlpack(const py::capsule& capsule) {
  cannot_replay("an array is shared through DLPack");
  if (!PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    const char* given = PyCapsule_GetName(capsule.ptr());
    value_error("from_dlpack: the capsule " + (given ? "is named '" + std::string(given) + "'" : "has no name") +
                ", expected an unused 'dltensor'");
  }
  auto* managed = capsule.get_pointer<dlpack::ManagedTensor>();
  const dlpack::Tensor& tensor = managed->tensor;
  const Place place = device_place();
  if (tensor.device.device_type != place.type)
    value_error("from_dlpack: the data is on device type " + std::to_string(tensor.device.device_type) + ", expected " +
                std::to_string(place.type) + (place.type == 1 ? " (CPU)" : " (CUDA)"));
  if (place.type != 1 && tensor.device.device_id != place.id)
    value_error("from_dlpack: the data is on device " + std::to_string(tensor.device.device_id) + ", expected " +
                std::to_string(place.id));
  DType dtype;
  if (tensor.dtype.lanes == 1 && tensor.dtype.code == 2 && tensor.dtype.bits == 32) dtype = DType::float32;
  else if (tensor.dtype.lanes == 1 && tensor.dtype.code == 2 && tensor.dtype.bits == 64) dtype = DType::float64;
  else if (tensor.dtype.lanes == 1 && tensor.dtype.code == 0 && tensor.dtype.bits == 32) dtype = DType::int32;
  else
    type_error("from_dlpack: type code " + std::to_string(tensor.dtype.code) + " with " +
               std::to_string(tensor.dtype.bits) + " bits, expected float32, float64 or int32");
  if (tensor.ndim < 0 || tensor.ndim > max_ndim)
    value_error("from_dlpack: " + std::to_string(tensor.ndim) + " dimensions, expected 0 to " +
                std::to_string(max_ndim));
  Shape shape;
  for (int i = 0; i < tensor.ndim; ++i) {
    if (tensor.shape[i] < 0) value_error("from_dlpack: dimension " + std::to_string(tensor.shape[i]) + " is negative");
    shape.append(tensor.shape[i]);
  }
  require_size_fits("from_dlpack", shape, dtype);
  if (tensor.strides && shape.size() > 0) {  // the strides of an empty array lead nowhere
    Index expected = 1;
    for (int i = tensor.ndim - 1; i >= 0; --i) {
      if (shape[i] > 1 && tensor.strides[i] != expected)
        value_error("from_dlpack: the array is not contiguous in row-major order; copy it with tensor()");
      expected *= shape[i];
    }
  }
  auto* data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  if (reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(item_size(dtype)) != 0)
    value_error("from_dlpack: the data is not aligned to its element size; copy it with tensor()");
  Storage* storage =
      adopt_storage(data, static_cast<std::size_t>(shape.size() * item_size(dtype)), managed, [](void* context) {
        wait_for_device();  // until our kernels need it no more
        // The last reference may fall in any thread; a foreign deleter may need Python.
        const py::gil_scoped_acquire acquire;
        auto* owned = static_cast<dlpack::ManagedTensor*>(context);
        if (owned->deleter) owned->deleter(owned);
      });
  PyCapsule_SetName(capsule.ptr(), "used_dltensor");
  return Array::adopt(storage, shape, dtype);
}

// The memory of `owner`, which lives as long as the array: what __cuda_array_interface__ says of it.
Array from_pointer(std::uintptr_t address, const py::handle& sizes, const std::string& dtype_name, py::object owner,
                   const std::optional<std::uintptr_t>& stream) {
  cannot_replay("an array is shared by its pointer");
  const Shape shape = to_shape("from_pointer", sizes);
  const DType dtype = to_dtype("from_pointer", dtype_name);
  require_size_fits("from_pointer", shape, dtype);
  if (address % static_cast<std::uintptr_t>(item_size(dtype)) != 0)
    value_error("from_pointer: the data is not aligned to its element size; copy it with tensor()");
  if (address == 0 && shape.size() > 0) value_error("from_pointer: the pointer is null");
  if (stream) issue_after(*stream);
  Storage* storage =
      adopt_storage(reinterpret_cast<void*>(address), static_cast<std::size_t>(shape.size() * item_size(dtype)),
                    owner.ptr(), [](void* context) {
                      wait_for_device();
                      const py::gil_scoped_acquire acquire;
                      Py_DECREF(static_cast<PyObject*>(context));
                    });
  (void)owner.release();  // NOLINT: the storage holds the reference
  return Array::adopt(storage, shape, dtype);
}

std::uintptr_t address(const Array& a) {
  cannot_replay("an array is shared by its pointer");
  return reinterpret_cast<std::uintptr_t>(a.raw());
}

}  // namespace

void bind_interop(py::module_& m) {
  const py::object type = m.attr("Array");
  add_method(type, "dlpack", &to_dlpack, py::arg("stream") = py::none());
  add_method(type, "address", &address);
  m.def("from_dlpack", &from_dlpack, py::arg("capsule"));
  m.def("from_pointer", &from_pointer, py::arg("address"), py::arg("shape"), py::arg("dtype"), py::arg("owner"),
        py::arg("stream") = py::none());
  m.def("stream_handle", &stream_handle);
  m.def("device_problem", &device_problem);
  m.def("device_place", [] {
    const Place place = device_place();
    return py::make_tuple(place.type, place.id);
  });
}

}  // namespace dlcore::DLCORE_DEVICE
