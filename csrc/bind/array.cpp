// The Array class as Python sees it, and its border to NumPy.
#include <pybind11/numpy.h>

#include <algorithm>

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

py::dtype numpy_dtype(DType dtype) {
  switch (dtype) {
    case DType::float32: return py::dtype::of<float>();
    case DType::float64: return py::dtype::of<double>();
    default: return py::dtype::of<std::int32_t>();
  }
}

Array from_numpy(const py::array& source) {
  const py::dtype type = source.dtype();
  DType dtype;
  if (type.equal(py::dtype::of<float>())) dtype = DType::float32;
  else if (type.equal(py::dtype::of<double>())) dtype = DType::float64;
  else if (type.equal(py::dtype::of<std::int32_t>())) dtype = DType::int32;
  else type_error("from_numpy: dtype is " + std::string(py::str(type)) + ", expected float32, float64 or int32");
  if (!(source.flags() & py::array::c_style)) value_error("from_numpy: the array is not contiguous in row-major order");
  if (source.ndim() > max_ndim)
    value_error("from_numpy: " + std::to_string(source.ndim()) + " dimensions, at most " + std::to_string(max_ndim));
  Shape shape;
  for (py::ssize_t i = 0; i < source.ndim(); ++i) shape.append(source.shape(i));
  const OutsideArena constant;  // a replay reads what was copied now
  Array result = new_array("from_numpy", shape, dtype);
  const void* from = source.data();
  without_gil(result.bytes() / 8, [=] { copy_from_host(result.raw(), from, result.bytes()); });
  return result;
}

py::array to_numpy(const Array& a) {
  cannot_replay("numpy() reads values");
  std::vector<py::ssize_t> shape(a.shape().dims, a.shape().dims + a.ndim());
  py::array result(numpy_dtype(a.dtype()), shape);
  void* to = result.mutable_data();
  without_gil(a.bytes() / 8, [=] { copy_to_host(to, a.raw(), a.bytes()); });
  return result;
}

py::object item(const Array& a) {
  cannot_replay("item() reads a value");
  if (a.size() != 1) value_error("item: the array has shape " + text(a.shape()) + ", expected one element");
  switch (a.dtype()) {
    case DType::float32: return py::float_(value_at(a.data<float>()));
    case DType::float64: return py::float_(value_at(a.data<double>()));
    default: return py::int_(value_at(a.data<std::int32_t>()));
  }
}

Array reshape(const Array& a, const py::handle& sizes) {
  const Shape shape = to_shape("reshape", sizes);
  if (shape.size() != a.size())
    value_error("reshape: " + text(a.shape()) + " has " + std::to_string(a.size()) + " elements, " + text(shape) +
                " has " + std::to_string(shape.size()));
  return a.view(0, shape);
}

Array view(const Array& a, Index offset, const py::handle& sizes) {
  const Shape shape = to_shape("view", sizes);
  if (offset < 0 || offset > a.size() || shape.size() > a.size() - offset)
    value_error("view: " + text(shape) + " at offset " + std::to_string(offset) + " does not lie within " +
                std::to_string(a.size()) + " elements");
  return a.view(offset, shape);
}

// A view for each (offset, shape) of a list.
py::list views(const Array& a, const py::list& layout) {
  py::list result(layout.size());
  for (std::size_t i = 0; i < layout.size(); ++i) {
    const py::handle piece = PyList_GET_ITEM(layout.ptr(), static_cast<Py_ssize_t>(i));
    if (!PyTuple_Check(piece.ptr()) || PyTuple_GET_SIZE(piece.ptr()) != 2 ||
        !PyLong_Check(PyTuple_GET_ITEM(piece.ptr(), 0)))
      type_error("views: layout has " + std::string(py::repr(piece)) + ", expected pairs (offset, shape)");
    const Index offset = PyLong_AsLongLong(PyTuple_GET_ITEM(piece.ptr(), 0));
    if (offset == -1 && PyErr_Occurred()) throw py::error_already_set();
    result[i] = view(a, offset, PyTuple_GET_ITEM(piece.ptr(), 1));
  }
  return result;
}

Array copy(const Array& a) {
  Array result = new_array("copy", a.shape(), a.dtype());
  copy_array(a, result);
  return result;
}

void assign(const Array& self, const Array& source) {
  require_same_dtype("assign", "self", self, "source", source);
  require_same_shape("assign", "self", self, "source", source);
  note_write(self);
  copy_array(source, self);
}

// --- In-place writes while a tape records ---

// Bytes [begin, end) were written when the tape had `entries` entries: those have saved what was there before.
struct Write {
  std::uintptr_t begin, end;
  Py_ssize_t entries;
  bool operator==(const Write& other) const = default;
};

struct Watch {
  PyObject* entries;  // the tape's list; one reference is held
  std::vector<Write> writes;
};

// One for each recording tape of this thread, the innermost last. The list is asked for its length at each write, so
// that recording itself costs nothing.
thread_local std::vector<Watch> watches;

// Three functions that every transformation calls: bound without the dispatcher of pybind11, which would cost a small
// training step a percent.
PyObject* watch_writes(PyObject*, PyObject* entries) {
  if (!PyList_Check(entries)) {
    PyErr_Format(PyExc_TypeError, "watch_writes: entries is a %s, expected a list", Py_TYPE(entries)->tp_name);
    return nullptr;
  }
  try {
    watches.push_back({entries, {}});
  } catch (const std::bad_alloc&) { return PyErr_NoMemory(); }
  Py_INCREF(entries);
  Py_RETURN_NONE;
}

PyObject* unwatch_writes(PyObject*, PyObject*) {
  if (watches.empty()) {
    PyErr_SetString(PyExc_ValueError, "unwatch_writes: nothing is watched in this thread");
    return nullptr;
  }
  PyObject* entries = watches.back().entries;
  watches.pop_back();
  Py_DECREF(entries);
  Py_RETURN_NONE;
}

PyObject* noted_writes(PyObject*, PyObject*) {
  return PyLong_FromSize_t(watches.empty() ? 0 : watches.back().writes.size());
}

PyMethodDef watch_methods[] = {
    {"watch_writes", watch_writes, METH_O, "watch_writes(entries: list) -> None"},
    {"unwatch_writes", unwatch_writes, METH_NOARGS, "unwatch_writes() -> None"},
    {"noted_writes", noted_writes, METH_NOARGS, "noted_writes() -> int"},
    {nullptr, nullptr, 0, nullptr},
};

bool is_overwritten(const Array& a, Index entry) {
  if (watches.empty()) return false;
  const auto begin = reinterpret_cast<std::uintptr_t>(a.raw()), end = begin + static_cast<std::uintptr_t>(a.bytes());
  for (const Write& write : watches.back().writes)
    if (write.entries > entry && write.begin < end && begin < write.end) return true;
  return false;
}

}  // namespace

void copy_array(const Array& from, const Array& to) {
  launch(to.size(), [](auto... a) { copy_within(a...); }, to.raw(), const_cast<const void*>(from.raw()), to.bytes());
}

void note_write(const Array& a) {
  if (Plan* plan = recording()) plan->note_written(a);
  constexpr std::size_t looked_at = 16;  // a loop of steps inside a transformation writes the same few arrays
  for (Watch& watch : watches) {
    const auto begin = reinterpret_cast<std::uintptr_t>(a.raw());
    const Write write{begin, begin + static_cast<std::uintptr_t>(a.bytes()), PyList_GET_SIZE(watch.entries)};
    const auto last = watch.writes.end(), first = last - static_cast<Index>(std::min(watch.writes.size(), looked_at));
    if (std::find(first, last, write) == last) watch.writes.push_back(write);
  }
}

void bind_array(py::module_& m) {
  const py::object type = bind_array_type(m);
  add_method(type, "numpy", &to_numpy);
  add_method(type, "item", &item);
  add_method(type, "reshape", &reshape, py::arg("shape"));
  add_method(type, "view", &view, py::arg("offset"), py::arg("shape"));
  add_method(type, "views", &views, py::arg("layout"));
  add_method(type, "copy", &copy);
  add_method(type, "assign", &assign, py::arg("source"));
  m.def("from_numpy", &from_numpy, py::arg("source"));
  m.def(
      "empty",
      [](const py::handle& shape, const std::string& dtype) {
        return new_array("empty", to_shape("empty", shape), to_dtype("empty", dtype));
      },
      py::arg("shape"), py::arg("dtype"));
  if (PyModule_AddFunctions(m.ptr(), watch_methods) != 0) throw py::error_already_set();
  m.def("is_overwritten", &is_overwritten, py::arg("array"), py::arg("entry"));
  bind_interop(m);
}

}  // namespace dlcore::DLCORE_DEVICE
