#include <cstdint>

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {

std::string text(const Shape& shape) {
  std::string result = "(";
  for (int i = 0; i < shape.ndim; ++i) {
    if (i) result += ", ";
    result += std::to_string(shape[i]);
  }
  return result + (shape.ndim == 1 ? ",)" : ")");
}

const char* name(DType dtype) {
  switch (dtype) {
    case DType::float32: return "float32";
    case DType::float64: return "float64";
    default: return "int32";
  }
}

void value_error(const std::string& message) { throw py::value_error(message); }
void type_error(const std::string& message) { throw py::type_error(message); }

namespace {

// Sizes in bytes must fit in 63 bits: the one place where shapes are multiplied out before anything is allocated.
void require_size_fits(const char* op, const Shape& shape, DType dtype) {
  for (int i = 0; i < shape.ndim; ++i)
    if (shape[i] == 0) return;  // an empty array, however large its other dimensions
  Index bytes = item_size(dtype);
  for (int i = 0; i < shape.ndim; ++i)
    if (__builtin_mul_overflow(bytes, shape[i], &bytes))
      value_error(std::string(op) + ": an array of shape " + text(shape) + " has more than 2**63 bytes");
}

}  // namespace

Shape to_shape(const char* op, const py::handle& sizes) {
  Shape shape;
  if (!py::isinstance<py::sequence>(sizes))
    type_error(std::string(op) + ": shape is a " + std::string(py::str(py::type::of(sizes).attr("__name__"))) +
               ", expected a tuple of integers");
  for (const py::handle size : py::reinterpret_borrow<py::sequence>(sizes)) {
    if (shape.ndim == max_ndim)
      value_error(std::string(op) + ": more than " + std::to_string(max_ndim) + " dimensions");
    const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(size.ptr()));
    if (!index) throw py::error_already_set();
    const long long n = PyLong_AsLongLong(index.ptr());
    if (n == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      value_error(std::string(op) + ": dimension " + std::string(py::str(index)) + " has more than 63 bits");
    }
    if (n < 0) value_error(std::string(op) + ": dimension " + std::to_string(n) + " is negative");
    shape.append(n);
  }
  require_size_fits(op, shape, DType::float64);
  return shape;
}

DType to_dtype(const char* op, const std::string& dtype) {
  for (const DType candidate : {DType::float32, DType::float64, DType::int32})
    if (dtype == name(candidate)) return candidate;
  type_error(std::string(op) + ": dtype is '" + dtype + "', expected 'float32', 'float64' or 'int32'");
}

int to_axis(const char* op, Index axis, const Shape& shape) {
  if (axis < -shape.ndim || axis >= shape.ndim)
    value_error(std::string(op) + ": axis " + std::to_string(axis) + " is not an axis of " + text(shape));
  return static_cast<int>(axis < 0 ? axis + shape.ndim : axis);
}

Activation to_activation(const char* op, const std::string& activation, double parameter) {
  static constexpr std::pair<const char*, Activation> kinds[] = {
      {"identity", Activation::identity}, {"sigmoid", Activation::sigmoid},       {"tanh", Activation::tanh},
      {"relu", Activation::relu},         {"leaky_relu", Activation::leaky_relu}, {"elu", Activation::elu},
      {"softplus", Activation::softplus}, {"lecun_tanh", Activation::lecun_tanh},
  };
  for (const auto& [kind_name, kind] : kinds) {
    if (activation != kind_name) continue;
    if ((kind == Activation::leaky_relu || kind == Activation::elu) && !(parameter >= 0))
      value_error(std::string(op) + ": parameter of " + activation + " is " +
                  std::string(py::str(py::float_(parameter))) + ", expected at least 0");
    return kind;
  }
  value_error(std::string(op) + ": activation is '" + activation +
              "', expected identity, sigmoid, tanh, relu, leaky_relu, elu, softplus or lecun_tanh");
}

Axes to_axes(const char* op, const py::handle& axes, const Shape& shape) {
  const auto sequence =
      py::reinterpret_steal<py::object>(PySequence_Fast(axes.ptr(), "axes: expected a tuple of integers"));
  if (!sequence) throw py::error_already_set();
  Axes result;
  bool seen[max_ndim] = {};
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.ptr()); ++i) {
    const Py_ssize_t given = PyNumber_AsSsize_t(PySequence_Fast_GET_ITEM(sequence.ptr(), i), nullptr);
    if (given == -1 && PyErr_Occurred()) throw py::error_already_set();
    const int axis = to_axis(op, given, shape);
    if (seen[axis])
      value_error(std::string(op) + ": axes are " + std::string(py::str(axes)) + ": axis " + std::to_string(axis) +
                  " is repeated");
    seen[axis] = true;
    result.axis[result.count++] = axis;
  }
  return result;
}

std::string text(const Pair& pair) { return text(Shape{pair.height, pair.width}); }

Pair to_pair(const char* op, const char* argument, const py::handle& pair, Index least) {
  constexpr Index most = (Index{1} << 31) - 1;
  const auto fail = [&](const std::string& expected) {
    value_error(std::string(op) + ": " + argument + " is " + std::string(py::str(pair)) + ", expected " + expected);
  };
  if (!PyTuple_Check(pair.ptr()) || PyTuple_GET_SIZE(pair.ptr()) != 2) fail("a tuple of two integers");
  Index sizes[2];
  for (int i = 0; i < 2; ++i) {
    sizes[i] = PyNumber_AsSsize_t(PyTuple_GET_ITEM(pair.ptr(), i), nullptr);  // clips; TypeError for what is no integer
    if (sizes[i] == -1 && PyErr_Occurred()) throw py::error_already_set();
    if (sizes[i] < least) fail("at least " + std::to_string(least));
    if (sizes[i] > most) fail("at most " + std::to_string(most));
  }
  return {sizes[0], sizes[1]};
}

Index padded_size(const char* op, Index size, Index padding) {
  Index result = 0;
  if (__builtin_add_overflow(size, 2 * padding, &result))
    value_error(std::string(op) + ": size " + std::to_string(size) + " with padding " + std::to_string(padding) +
                " has more than 63 bits");
  return result;
}

Array new_array(const char* op, const Shape& shape, DType dtype) {
  require_size_fits(op, shape, dtype);
  return Array::empty(shape, dtype);
}

void require_float(const char* op, const char* argument, const Array& a) {
  if (a.dtype() == DType::int32)
    type_error(std::string(op) + ": " + argument + " has dtype int32, expected float32 or float64");
}

void require_dtype(const char* op, const char* argument, const Array& a, DType dtype) {
  if (a.dtype() != dtype)
    type_error(std::string(op) + ": " + argument + " has dtype " + name(a.dtype()) + ", expected " + name(dtype));
}

void require_same_dtype(const char* op, const char* name_a, const Array& a, const char* name_b, const Array& b) {
  if (a.dtype() != b.dtype())
    type_error(std::string(op) + ": dtypes differ: " + name_a + " is " + name(a.dtype()) + ", " + name_b + " is " +
               name(b.dtype()));
}

void require_ndim(const char* op, const char* argument, const Array& a, int ndim) {
  if (a.ndim() != ndim)
    value_error(std::string(op) + ": " + argument + " has shape " + text(a.shape()) + ", expected " +
                std::to_string(ndim) + (ndim == 1 ? " dimension" : " dimensions"));
}

void require_shape(const char* op, const char* argument, const Array& a, const Shape& expected) {
  if (!(a.shape() == expected))
    value_error(std::string(op) + ": " + argument + " has shape " + text(a.shape()) + ", expected " + text(expected));
}

void require_same_shape(const char* op, const char* name_a, const Array& a, const char* name_b, const Array& b) {
  if (!(a.shape() == b.shape()))
    value_error(std::string(op) + ": shapes differ: " + name_a + " is " + text(a.shape()) + ", " + name_b + " is " +
                text(b.shape()));
}

void require_no_overlap(const char* op, const char* name_out, const Array& out, const char* name_in, const Array& in) {
  const auto out_begin = reinterpret_cast<std::uintptr_t>(out.raw());
  const auto in_begin = reinterpret_cast<std::uintptr_t>(in.raw());
  if (out_begin < in_begin + static_cast<std::uintptr_t>(in.bytes()) &&
      in_begin < out_begin + static_cast<std::uintptr_t>(out.bytes()))
    value_error(std::string(op) + ": " + name_out + " shares memory with " + name_in);
}

Array output_or_new(const char* op, const std::optional<Array>& out, const Shape& shape, DType dtype) {
  if (!out) return new_array(op, shape, dtype);
  require_dtype(op, "out", *out, dtype);
  require_shape(op, "out", *out, shape);
  note_write(*out);
  return *out;
}

}  // namespace dlcore::DLCORE_DEVICE
