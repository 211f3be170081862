#include "array_type.h"

#include <new>

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

const Array& array_of(PyObject* self) { return reinterpret_cast<ArrayObject*>(self)->array; }

void destroy(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  reinterpret_cast<ArrayObject*>(self)->array.~Array();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* get_shape(PyObject* self, void*) {
  const Shape& shape = array_of(self).shape();
  PyObject* result = PyTuple_New(shape.ndim);
  for (int i = 0; result && i < shape.ndim; ++i) {
    PyObject* size = PyLong_FromLongLong(shape[i]);
    if (!size) Py_CLEAR(result);
    else PyTuple_SET_ITEM(result, i, size);
  }
  return result;
}

PyObject* get_ndim(PyObject* self, void*) { return PyLong_FromLong(array_of(self).ndim()); }
PyObject* get_size(PyObject* self, void*) { return PyLong_FromLongLong(array_of(self).size()); }
PyObject* get_nbytes(PyObject* self, void*) { return PyLong_FromLongLong(array_of(self).bytes()); }
PyObject* get_dtype(PyObject* self, void*) {
  static PyObject* names[3] = {};  // kept: to intern a text means to hash it, and ops ask for dtypes all the time
  const DType dtype = array_of(self).dtype();
  PyObject*& known = names[static_cast<int>(dtype)];
  if (!known) known = PyUnicode_InternFromString(name(dtype));
  Py_XINCREF(known);
  return known;
}

PyGetSetDef properties[] = {
    {"shape", get_shape, nullptr, nullptr, nullptr}, {"ndim", get_ndim, nullptr, nullptr, nullptr},
    {"size", get_size, nullptr, nullptr, nullptr},   {"nbytes", get_nbytes, nullptr, nullptr, nullptr},
    {"dtype", get_dtype, nullptr, nullptr, nullptr}, {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
    {Py_tp_getset, properties},
    {0, nullptr},
};
}  // namespace

py::handle new_array_object(Array array) {
  PyObject* object = array_type->tp_alloc(array_type, 0);
  if (!object) throw py::error_already_set();
  new (&reinterpret_cast<ArrayObject*>(object)->array) Array(std::move(array));
  return object;
}

void refuse_other_device(py::handle object) {
  const py::handle type(reinterpret_cast<PyObject*>(Py_TYPE(object.ptr())));
  if (!py::hasattr(type, "device_name")) return;
  const auto own = py::handle(reinterpret_cast<PyObject*>(array_type)).attr("device_name").cast<std::string>();
  value_error("devices differ: an array is on " + type.attr("device_name").cast<std::string>() +
              ", the others are on " + own + "; to(\"" + own + "\") copies a tensor there");
}

py::object bind_array_type(py::module_& m) {
  static const std::string type_name = m.attr("__name__").cast<std::string>() + ".Array";  // types refer to it
  PyType_Spec specification = {type_name.c_str(), sizeof(ArrayObject), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  const auto type = py::reinterpret_steal<py::object>(PyType_FromSpec(&specification));
  if (!type) throw py::error_already_set();
  array_type = reinterpret_cast<PyTypeObject*>(type.ptr());
  Py_INCREF(array_type);  // arrays may outlive the module's dictionary
  m.attr("Array") = type;
  return type;
}

}  // namespace dlcore::DLCORE_DEVICE
