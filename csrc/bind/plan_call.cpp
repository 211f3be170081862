// A replay with arguments and results of its own, and what it must look at first: the native half of `dlcore.traced`.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "bind.h"
#include "plan_graphs.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// What an argument holds, or null; of NumPy, on the host.
struct Source {
  const void* data;
  bool of_numpy;
  void copy_to(const Array& place) const {
    if (of_numpy) copy_from_host(place.raw(), data, place.bytes());
    else copy_within(place.raw(), data, place.bytes());
  }
};

// Null where an argument is no array of the shape and dtype of `place`. Those of NumPy must be contiguous.
Source source_of(const py::handle& given, const Array& place) {
  const Shape& shape = place.shape();
  if (is_array(given)) {
    const Array& a = as_array(given);
    return {a.dtype() == place.dtype() && a.shape() == shape ? a.raw() : nullptr, false};
  }
  if (!py::isinstance<py::array>(given)) return {nullptr, false};
  const auto a = py::reinterpret_borrow<py::array>(given);
  const char kind = place.dtype() == DType::int32 ? 'i' : 'f';
  const py::dtype type = a.dtype();
  if (type.kind() != kind || type.itemsize() != item_size(place.dtype()) || type.byteorder() != '=' ||
      !(a.flags() & py::array::c_style) || a.ndim() != shape.ndim)
    return {nullptr, true};
  for (int i = 0; i < shape.ndim; ++i)
    if (a.shape(i) != shape[i]) return {nullptr, true};
  return {a.data(), true};
}

// (object, attribute, value, launches): what Python knows of a step to be counted as made once so many launches are.
void count(const py::list& updates, std::size_t launches) {
  for (const py::handle& update : updates) {
    PyObject* const* const part = &PyTuple_GET_ITEM(update.ptr(), 0);
    const std::size_t made = PyLong_AsSize_t(part[3]);
    if (made <= launches && PyObject_SetAttr(part[0], part[1], part[2]) != 0) throw py::error_already_set();
  }
}

void require_updates(const py::list& updates) {
  for (const py::handle& update : updates)
    if (!PyTuple_Check(update.ptr()) || PyTuple_GET_SIZE(update.ptr()) != 4 ||
        !PyUnicode_Check(PyTuple_GET_ITEM(update.ptr(), 1)) || !PyLong_Check(PyTuple_GET_ITEM(update.ptr(), 3)))
      type_error("Plan.call: updates has " + std::string(py::repr(update)) +
                 ", expected tuples (object, attribute, value, launches)");
}

// One replay, of which no part is undone: where a kernel's check of values raises, what came before it has happened, as
// it has in an eager step. Signals wait until it and the updates are made. False, and nothing done, where the recorded
// step itself works on the memory of an argument; None, and nothing done, where it looked at values and finds others.
py::object call(Plan& plan, const py::list& given, const std::vector<std::pair<std::uint64_t, std::uint64_t>>& shifts,
                const std::optional<std::vector<double>>& numbers, Index later, const py::list& updates) {
  constexpr const char* op = "Plan.call";
  require_idle(op, plan);
  cannot_replay("a plan is replayed");
  if (!plan.reason.empty()) value_error("Plan.call: the step cannot be replayed: " + plan.reason);
  if (given.size() != plan.arguments.size())
    value_error("Plan.call: " + std::to_string(given.size()) + " arguments, expected " +
                std::to_string(plan.arguments.size()));
  if (numbers && numbers->size() != plan.fields.size())
    value_error("Plan.call: " + std::to_string(numbers->size()) + " numbers, expected " +
                std::to_string(plan.fields.size()));
  if (!numbers && plan.numbers.size() != plan.fields.size()) value_error("Plan.call: no numbers were given yet");
  require_updates(updates);
  if (numbers) plan.numbers = *numbers;  // also where nothing is done: the caller counts on them next time
  std::vector<Source> from(given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    const py::handle argument = PyList_GET_ITEM(given.ptr(), static_cast<Py_ssize_t>(i));
    if (is_array(argument) && plan.uses(as_array(argument))) return py::bool_(false);
    from[i] = source_of(argument, plan.arguments[i]);
    if (!from[i].data && plan.arguments[i].size() > 0)
      type_error("Plan.call: argument " + std::to_string(i) + " is no contiguous " + name(plan.arguments[i].dtype()) +
                 " array of shape " + text(plan.arguments[i].shape()));
  }
  std::vector<Array> results;  // before anything is done: the last thing that may fail
  results.reserve(plan.results.size());
  for (const Array& result : plan.results) results.push_back(new_array(op, result.shape(), result.dtype()));
  const Busy busy(plan);
  write_numbers(plan, plan.numbers.data(), later);
  for (const auto& stream : plan.streams)
    for (const auto& [key, shift] : shifts)
      if (key == stream->key) stream->shift = shift;
  plan.at = 0;
  const auto run = [&] {
    for (std::size_t i = 0; i < from.size(); ++i) from[i].copy_to(plan.arguments[i]);
    PlanGraphs* const graphs = graphs_of(plan);
    if (graphs && graphs->issue(1, false, [](Index) {}, plan.found)) {
      plan.at = plan.launches.size();
    } else {
      plan.save();
      plan.advance(plan.launches.size());
      if (graphs) graphs->rethrow();
    }
    for (std::size_t i = 0; i < results.size(); ++i)
      copy_within(results[i].raw(), plan.results[i].raw(), results[i].bytes());
  };
  try {
    without_gil(plan.work, run);
  } catch (const OtherAnswer&) {
    plan.restore();
    return py::none();
  } catch (...) {
    count(updates, plan.at);
    throw;
  }
  count(updates, plan.at);
  py::list found(results.size());
  for (std::size_t i = 0; i < results.size(); ++i) found[i] = py::cast(std::move(results[i]));
  return found;
}

// Whether an array's memory changes with every replay.
bool owns(const Plan& plan, const Array& array) {
  const auto is_of = [&](const Array& other) { return other.storage() == array.storage(); };
  return array.storage()->arena == plan.arena || std::any_of(plan.arguments.begin(), plan.arguments.end(), is_of);
}

// How many of the arena's blocks the results hold.
Index results_alive(const Plan& plan) {
  std::set<const Storage*> found;
  for (const Array& result : plan.results)
    if (result.storage()->arena == plan.arena) found.insert(result.storage());
  return static_cast<Index>(found.size());
}

// Whether a number, a text or a truth is what it was: 0.0 is not -0.0, and 1 is neither True nor 1.0.
bool same(PyObject* a, PyObject* b) {
  if (a == b) return true;
  if (!a || Py_TYPE(a) != Py_TYPE(b)) return false;
  if (PyFloat_CheckExact(a)) {
    const double x = PyFloat_AS_DOUBLE(a), y = PyFloat_AS_DOUBLE(b);
    return std::memcmp(&x, &y, sizeof x) == 0;
  }
  if (!PyLong_CheckExact(a) && !PyUnicode_CheckExact(a) && !PyBytes_CheckExact(a)) return false;
  const int equal = PyObject_RichCompareBool(a, b, Py_EQ);
  if (equal < 0) throw py::error_already_set();
  return equal == 1;
}

// (holder, key, value): an item of a dict or a list, the length of one (key None), the content of a cell, an entry of a
// class's `__dict__`, or an attribute; NotImplemented stands for none.
bool holds(const py::handle& guard) {
  if (!PyTuple_Check(guard.ptr()) || PyTuple_GET_SIZE(guard.ptr()) != 3)
    type_error("first_change: guards has " + std::string(py::repr(guard)) + ", expected tuples (holder, key, value)");
  PyObject* const* const part = &PyTuple_GET_ITEM(guard.ptr(), 0);
  PyObject *const holder = part[0], *const key = part[1];
  PyObject* const expected = part[2] == Py_NotImplemented ? nullptr : part[2];
  const auto is = [expected](PyObject* found) { return expected ? same(found, expected) : !found; };
  if (PyDict_Check(holder)) {
    if (key == Py_None) return PyLong_AsSsize_t(part[2]) == PyDict_GET_SIZE(holder);
    PyObject* const found = PyDict_GetItemWithError(holder, key);
    if (!found && PyErr_Occurred()) throw py::error_already_set();
    return is(found);
  }
  if (PyList_Check(holder)) {
    if (key == Py_None) return PyLong_AsSsize_t(part[2]) == PyList_GET_SIZE(holder);
    const Py_ssize_t i = PyLong_AsSsize_t(key);
    return is(i >= 0 && i < PyList_GET_SIZE(holder) ? PyList_GET_ITEM(holder, i) : nullptr);
  }
  if (PyCell_Check(holder)) return is(PyCell_GET(holder));
  const bool of_class = Py_TYPE(holder) == &PyDictProxy_Type;
  const auto found = py::reinterpret_steal<py::object>((of_class ? PyObject_GetItem : PyObject_GetAttr)(holder, key));
  if (!found) PyErr_Clear();
  return is(found.ptr());
}

// The first of the guards that does not hold, or -1.
Index first_change(const py::list& guards) {
  for (std::size_t i = 0; i < guards.size(); ++i)
    if (!holds(PyList_GET_ITEM(guards.ptr(), static_cast<Py_ssize_t>(i)))) return static_cast<Index>(i);
  return -1;
}

}  // namespace

void bind_plan_call(py::module_& m, py::class_<Plan>& plan) {
  plan.def("call", &call, py::arg("arguments"),
           py::arg("shifts") = std::vector<std::pair<std::uint64_t, std::uint64_t>>(), py::arg("numbers") = py::none(),
           py::arg("later") = 0, py::arg("updates") = py::list())
      .def_readwrite("arguments", &Plan::arguments)
      .def_readwrite("results", &Plan::results)
      .def("uses", &Plan::uses, py::arg("array"))
      .def("owns", &owns, py::arg("array"))
      .def_property_readonly("results_alive", &results_alive);
  m.def("first_change", &first_change, py::arg("guards"));
  m.def("is_plan_recorded", [] { return recording() != nullptr; });
}

}  // namespace dlcore::DLCORE_DEVICE
