#include "random.h"

#include <cmath>
#include <cstdio>
#include <limits>

#include "../random.h"

namespace dlcore::DLCORE_DEVICE {

std::string text(double value) {
  if (std::isnan(value)) return "nan";  // whose sign says nothing
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.9g", value);
  return digits;
}

std::uint64_t to_counter(const char* op, const char* argument, const py::handle& value, int bits) {
  const auto integer = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!integer) {
    PyErr_Clear();
    type_error(std::string(op) + ": " + argument + " is a " +
               std::string(py::str(py::type::of(value).attr("__name__"))) + ", expected an integer");
  }
  const unsigned long long result = PyLong_AsUnsignedLongLong(integer.ptr());
  const bool failed = result == std::numeric_limits<unsigned long long>::max() && PyErr_Occurred();
  if (failed) PyErr_Clear();
  if (failed || (bits < 64 && result >> bits != 0))
    value_error(std::string(op) + ": " + argument + " is " + std::string(py::str(integer)) + ", expected 0 to 2**" +
                std::to_string(bits) + " - 1");
  return result;
}

Shape position(const Shape& shape, Index i) {
  Shape index;
  Index stride = shape.size();
  for (int axis = 0; axis < shape.ndim; ++axis) {
    stride /= shape[axis];
    index.append(i / stride % shape[axis]);
  }
  return index;
}

void require_unit_interval(const char* op, const char* argument, const Array& a) {
  dispatch_float(a.dtype(), [&]<typename T>(T) {
    launch(
        a.size() / 4,
        [](const char* who, const char* what, Shape shape, const T* x) {
          const Index n = shape.size(), i = first_outside_unit_interval(n, x);
          if (i < n)
            value_error(std::string(who) + ": " + what + " is " + text(static_cast<double>(value_at(x, i))) + " at " +
                        text(position(shape, i)) + ", expected numbers in [0, 1]");
        },
        op, argument, a.shape(), const_cast<const T*>(a.data<T>()));
  });
}

namespace {

constexpr Index sample_work = 4;  // scalar operations of a sample, for launch

Index to_size(const char* op, const char* argument, const py::handle& value) {
  return static_cast<Index>(to_counter(op, argument, value, 31));
}

DType float_dtype(const char* op, const std::string& given) {
  const DType dtype = to_dtype(op, given);
  if (dtype == DType::int32) type_error(std::string(op) + ": dtype is 'int32', expected 'float32' or 'float64'");
  return dtype;
}

Array bind_random_words(const py::handle& key, const py::handle& step, const py::handle& first_block,
                        const py::handle& blocks) {
  const std::uint64_t k = to_counter("random_words", "key", key), s = to_counter("random_words", "step", step);
  const std::uint64_t first = to_counter("random_words", "first_block", first_block);
  const Index count = to_size("random_words", "blocks", blocks);
  Array words = new_array("random_words", {count, 4}, DType::int32);
  launch(
      words.size(), [](Draw draw, auto... arguments) { random_words(draw.key(), draw.step(), arguments...); },
      Draw(k, s), first, count, words.data<std::int32_t>());
  return words;
}

Array bind_uniform(const py::handle& key, const py::handle& step, const py::handle& shape, double low, double high,
                   const std::string& dtype) {
  const std::uint64_t k = to_counter("uniform", "key", key), s = to_counter("uniform", "step", step);
  const Shape sizes = to_shape("uniform", shape);
  const DType type = float_dtype("uniform", dtype);
  return dispatch_float(type, [&]<typename T>(T) {
    const T a = static_cast<T>(low), b = static_cast<T>(high);
    if (!(a <= b) || !std::isfinite(b - a))
      value_error("uniform: low is " + text(low) + " and high is " + text(high) +
                  ", expected low <= high with a finite difference");
    Array y = new_array("uniform", sizes, type);
    launch(
        y.size() * sample_work, [](Draw draw, auto... arguments) { uniform(draw.key(), draw.step(), arguments...); },
        Draw(k, s), y.size(), a, b, y.data<T>());
    return y;
  });
}

Array bind_normal(const py::handle& key, const py::handle& step, const py::handle& shape, double mean, double std,
                  const std::string& dtype) {
  const std::uint64_t k = to_counter("normal", "key", key), s = to_counter("normal", "step", step);
  const Shape sizes = to_shape("normal", shape);
  const DType type = float_dtype("normal", dtype);
  return dispatch_float(type, [&]<typename T>(T) {
    const T m = static_cast<T>(mean), d = static_cast<T>(std);
    if (!std::isfinite(m)) value_error("normal: mean is " + text(mean) + ", expected a finite number");
    if (!(d >= 0) || !std::isfinite(d)) value_error("normal: std is " + text(std) + ", expected a finite number >= 0");
    Array y = new_array("normal", sizes, type);
    launch(
        y.size() * sample_work * 2, [](Draw draw, auto... arguments) { normal(draw.key(), draw.step(), arguments...); },
        Draw(k, s), y.size(), m, d, y.data<T>());
    return y;
  });
}

Array bind_bernoulli(const py::handle& key, const py::handle& step, const Array& probabilities) {
  const std::uint64_t k = to_counter("bernoulli", "key", key), s = to_counter("bernoulli", "step", step);
  require_float("bernoulli", "probabilities", probabilities);
  require_unit_interval("bernoulli", "probabilities", probabilities);
  Array y = new_array("bernoulli", probabilities.shape(), probabilities.dtype());
  dispatch_float(y.dtype(), [&]<typename T>(T) {
    launch(
        y.size() * sample_work, [](Draw draw, auto... arguments) { bernoulli(draw.key(), draw.step(), arguments...); },
        Draw(k, s), y.size(), probabilities.data<T>(), y.data<T>());
  });
  return y;
}

Array bind_dropout(const py::handle& key, const py::handle& step, const Array& x, double p) {
  const std::uint64_t k = to_counter("dropout", "key", key), s = to_counter("dropout", "step", step);
  require_float("dropout", "x", x);
  return dispatch_float(x.dtype(), [&]<typename T>(T) {
    const T probability = static_cast<T>(p);
    const char* rounded = p < 1 && probability == 1 ? ", which rounds to 1 in float32" : "";
    if (!(p >= 0) || !(probability < 1)) value_error("dropout: p is " + text(p) + rounded + ", expected 0 <= p < 1");
    Array y = new_array("dropout", x.shape(), x.dtype());
    launch(
        y.size() * sample_work, [](Draw draw, auto... arguments) { dropout(draw.key(), draw.step(), arguments...); },
        Draw(k, s), y.size(), probability, x.data<T>(), y.data<T>());
    return y;
  });
}

Array bind_permutation(const py::handle& key, const py::handle& step, const py::handle& n) {
  const std::uint64_t k = to_counter("permutation", "key", key), s = to_counter("permutation", "step", step);
  const Index size = to_size("permutation", "n", n);
  Array y = new_array("permutation", {size}, DType::int32);
  launch(
      size * sample_work, [](Draw draw, auto... arguments) { permutation(draw.key(), draw.step(), arguments...); },
      Draw(k, s), size, y.data<std::int32_t>());
  return y;
}

}  // namespace

void bind_random(py::module_& m) {
  m.def("random_words", &bind_random_words, py::arg("key"), py::arg("step"), py::arg("first_block"), py::arg("blocks"));
  m.def("uniform", &bind_uniform, py::arg("key"), py::arg("step"), py::arg("shape"), py::arg("low"), py::arg("high"),
        py::arg("dtype"));
  m.def("normal", &bind_normal, py::arg("key"), py::arg("step"), py::arg("shape"), py::arg("mean"), py::arg("std"),
        py::arg("dtype"));
  m.def("bernoulli", &bind_bernoulli, py::arg("key"), py::arg("step"), py::arg("probabilities"));
  m.def("dropout", &bind_dropout, py::arg("key"), py::arg("step"), py::arg("x"), py::arg("p"));
  m.def("permutation", &bind_permutation, py::arg("key"), py::arg("step"), py::arg("n"));
}

}  // namespace dlcore::DLCORE_DEVICE
