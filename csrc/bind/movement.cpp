#include "../movement.h"

#include <pybind11/stl.h>

#include "../vec.h"
#include "bind.h"
#include "movement_warp.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Calls f with the unsigned word of the size of an element: movement does not look at what it moves.
template <typename F> decltype(auto) dispatch_word(DType dtype, F&& f) {
  return item_size(dtype) == 8 ? f(std::uint64_t{}) : f(std::uint32_t{});
}

// Drops axes of size 1 and merges each axis with the one before where the input steps through both as through one.
StridedLayout merged(const Shape& sizes, const Index* strides) {
  StridedLayout layout{0, {}, {}};
  for (int axis = 0; axis < sizes.ndim; ++axis) {
    if (sizes[axis] == 1) continue;
    const int last = layout.ndim - 1;
    if (last >= 0 && layout.strides[last] == strides[axis] * sizes[axis]) {
      layout.sizes[last] *= sizes[axis];
      layout.strides[last] = strides[axis];
    } else {
      layout.sizes[layout.ndim] = sizes[axis];
      layout.strides[layout.ndim++] = strides[axis];
    }
  }
  if (layout.ndim == 0) layout = {1, {1}, {1}};
  return layout;
}

void copy_strided(const Array& x, const Index* strides, const Array& y) {
  if (y.size() == 0) return;
  const StridedLayout layout = merged(y.shape(), strides);
  dispatch_word(x.dtype(), [&](auto zero) {
    using Word = decltype(zero);
    launch(y.size(), [](auto... arguments) { strided_copy(arguments...); }, layout, x.data<Word>(), y.data<Word>());
  });
}

void row_major_strides(const Shape& shape, Index* strides) {
  Index stride = 1;
  for (int axis = shape.ndim - 1; axis >= 0; --axis) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
}

Array bind_transpose(const Array& x, const py::handle& given) {
  const Axes axes = to_axes("transpose", given, x.shape());
  if (axes.count != x.ndim())
    value_error("transpose: axes are " + std::string(py::str(given)) + ", expected one for each dimension of " +
                text(x.shape()));
  Index x_strides[max_ndim], strides[max_ndim];
  row_major_strides(x.shape(), x_strides);
  Shape shape;
  for (int i = 0; i < axes.count; ++i) {
    strides[i] = x_strides[axes.axis[i]];
    shape.append(x.shape(axes.axis[i]));
  }
  Array y = new_array("transpose", shape, x.dtype());
  copy_strided(x, strides, y);
  return y;
}

Array bind_broadcast_to(const Array& x, const py::handle& sizes) {
  const Shape shape = to_shape("broadcast_to", sizes);
  const int added = shape.ndim - x.ndim();
  Index x_strides[max_ndim], strides[max_ndim] = {};
  row_major_strides(x.shape(), x_strides);
  bool fits = added >= 0;
  for (int axis = 0; fits && axis < x.ndim(); ++axis) {
    fits = x.shape(axis) == shape[axis + added] || x.shape(axis) == 1;
    strides[axis + added] = x.shape(axis) == 1 ? 0 : x_strides[axis];
  }
  if (!fits) value_error("broadcast_to: " + text(x.shape()) + " does not broadcast to " + text(shape));
  Array y = new_array("broadcast_to", shape, x.dtype());
  copy_strided(x, strides, y);
  return y;
}

Array bind_concatenate(const py::sequence& sequence, Index given_axis) {
  std::vector<Array> arrays;  // `sequence` may make its items as they are asked for
  for (const py::object item : sequence) {
    if (!is_array(item)) {
      refuse_other_device(item);
      type_error("concatenate: arrays[" + std::to_string(arrays.size()) + "] is a " +
                 std::string(py::str(py::type::of(item).attr("__name__"))) + ", expected an Array");
    }
    arrays.push_back(as_array(item));
    if (Plan* plan = recording()) plan->keep(arrays.back());
  }
  if (arrays.empty()) value_error("concatenate: no arrays were given");
  const Array& first = arrays[0];
  const int axis = to_axis("concatenate", given_axis, first.shape());
  Shape shape = first.shape();
  for (std::size_t i = 1; i < arrays.size(); ++i) {
    const Array& a = arrays[i];
    const auto position = [i] { return "arrays[" + std::to_string(i) + "]"; };
    if (a.dtype() != first.dtype()) require_same_dtype("concatenate", "arrays[0]", first, position().c_str(), a);
    Shape expected = first.shape();
    if (a.ndim() == first.ndim()) expected[axis] = a.shape(axis);
    if (!(a.shape() == expected))
      value_error("concatenate: shapes differ beyond axis " + std::to_string(axis) + ": arrays[0] is " +
                  text(first.shape()) + ", " + position() + " is " + text(a.shape()));
    if (__builtin_add_overflow(shape[axis], a.shape(axis), &shape[axis]))
      value_error("concatenate: axis " + std::to_string(axis) + " of the result has more than 63 bits");
  }
  Array y = new_array("concatenate", shape, first.dtype());
  if (y.size() == 0) return y;
  const Index outer = shape.product(0, axis), inner = shape.product(axis + 1, shape.ndim);
  dispatch_word(first.dtype(), [&](auto zero) {
    using Word = decltype(zero);
    Word* to = y.data<Word>();
    for (const Array& a : arrays) {
      const Index columns = a.shape(axis) * inner;
      launch(
          a.size(), [](auto... arguments) { copy_rows(arguments...); }, outer, columns, a.data<Word>(), columns, to,
          shape[axis] * inner);
      to += columns;
    }
  });
  return y;
}

Array bind_narrow(const Array& x, Index given_axis, Index start, Index length) {
  const int axis = to_axis("narrow", given_axis, x.shape());
  const Index n = x.shape(axis);
  if (start < 0 || length < 0 || start > n || length > n - start)
    value_error("narrow: " + std::to_string(length) + " from " + std::to_string(start) + " do not lie within axis " +
                std::to_string(axis) + " of " + text(x.shape()));
  Shape shape = x.shape();
  shape[axis] = length;
  Array y = new_array("narrow", shape, x.dtype());
  if (y.size() == 0) return y;
  const Index outer = shape.product(0, axis), inner = shape.product(axis + 1, shape.ndim);
  dispatch_word(x.dtype(), [&](auto zero) {
    using Word = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { copy_rows(arguments...); }, outer, length * inner,
        x.data<Word>() + start * inner, n * inner, y.data<Word>(), length * inner);
  });
  return y;
}

Array bind_embed(const Array& x, Index given_axis, Index start, Index length) {
  const int axis = to_axis("embed", given_axis, x.shape());
  const Index n = x.shape(axis);
  if (start < 0 || start > length || n > length - start)
    value_error("embed: axis " + std::to_string(axis) + " of " + text(x.shape()) + " at " + std::to_string(start) +
                " does not lie within " + std::to_string(length));
  Shape shape = x.shape();
  shape[axis] = length;
  Array y = new_array("embed", shape, x.dtype());
  if (y.size() == 0) return y;
  const Index outer = shape.product(0, axis), inner = shape.product(axis + 1, shape.ndim);
  dispatch_word(x.dtype(), [&](auto zero) {
    using Word = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { embed(arguments...); }, outer, length, inner, start, n, x.data<Word>(),
        y.data<Word>());
  });
  return y;
}

void require_indices(const char* op, const char* argument, const Array& indices, Index limit) {
  require_dtype(op, argument, indices, DType::int32);
  launch(
      indices.size(),
      [](const char* who, const char* what, Index n, const std::int32_t* index, Index below) {
        const BadIndex bad = first_out_of_range(n, index, below);
        if (bad.position < n)
          value_error(std::string(who) + ": " + what + "[" + std::to_string(bad.position) + "] is " +
                      std::to_string(bad.value) + ", expected 0 <= index < " + std::to_string(below));
      },
      op, argument, indices.size(), indices.data<std::int32_t>(), limit);
}

Array bind_gather(const Array& x, const Array& indices) {
  if (x.ndim() == 0) value_error("gather: x has shape (), expected at least 1 dimension");
  require_ndim("gather", "indices", indices, 1);
  require_indices("gather", "indices", indices, x.shape(0));
  Shape shape = x.shape();
  shape[0] = indices.size();
  Array y = new_array("gather", shape, x.dtype());
  if (y.size() == 0) return y;
  dispatch_word(x.dtype(), [&](auto zero) {
    using Word = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { gather(arguments...); }, indices.size(), x.shape(0),
        shape.product(1, shape.ndim), x.data<Word>(), indices.data<std::int32_t>(), y.data<Word>());
  });
  return y;
}

Array bind_scatter_add(const Array& x, const Array& indices, const Array& rows) {
  require_float("scatter_add", "x", x);
  require_same_dtype("scatter_add", "x", x, "rows", rows);
  if (x.ndim() == 0) value_error("scatter_add: x has shape (), expected at least 1 dimension");
  require_ndim("scatter_add", "indices", indices, 1);
  Shape expected = x.shape();
  expected[0] = indices.size();
  require_shape("scatter_add", "rows", rows, expected);
  require_indices("scatter_add", "indices", indices, x.shape(0));
  Array y = new_array("scatter_add", x.shape(), x.dtype());
  const Index columns = x.shape().product(1, x.ndim());
  if (x.size() == 0) return y;
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    copy_array(x, y);
    launch(
        x.size() + rows.size(), [](auto... arguments) { scatter_add(arguments...); }, indices.size(), x.shape(0),
        columns, indices.data<std::int32_t>(), rows.data<T>(), y.data<T>());
  });
  return y;
}

Array bind_assign_rows(const Array& x, const Array& indices, const Array& rows) {
  constexpr const char* op = "assign_rows";
  require_same_dtype(op, "x", x, "rows", rows);
  if (x.ndim() == 0) value_error("assign_rows: x has shape (), expected at least 1 dimension");
  require_ndim(op, "indices", indices, 1);
  require_indices(op, "indices", indices, x.shape(0));
  Shape shape = x.shape();
  shape[0] = indices.size();
  require_shape(op, "rows", rows, shape);
  require_no_overlap(op, "x", x, "indices", indices);
  require_no_overlap(op, "x", x, "rows", rows);
  note_write(x);
  dispatch_word(x.dtype(), [&](auto zero) {
    using Word = decltype(zero);
    launch(
        rows.size(), [](auto... arguments) { assign_rows(arguments...); }, indices.size(), x.shape(0),
        shape.product(1, shape.ndim), indices.data<std::int32_t>(), const_cast<const Word*>(rows.data<Word>()),
        x.data<Word>());
  });
  return x;
}

// Only the rows asked for are looked at: a batch of a large matrix costs what the batch has.
void require_csr_rows(const Array& data, const Array& indices, const Array& indptr, Index columns, const Array& rows) {
  launch(
      rows.size(),
      [](Index n, const std::int32_t* row, Index steps, const std::int32_t* indptr_of, const std::int32_t* places,
         Index stored, Index width) {
        const Index i = first_bad_csr_row(n, steps - 1, width, stored, places, indptr_of, row);
        if (i == n) return;
        const Index asked = value_at(row, i), first = value_at(indptr_of, asked), last = value_at(indptr_of, asked + 1);
        if (first < 0 || last < first || last > stored)
          value_error("gather_csr: row " + std::to_string(asked) + " is from " + std::to_string(first) + " to " +
                      std::to_string(last) + " of " + std::to_string(stored) + " entries");
        const BadIndex bad = first_out_of_range(last - first, places + first, width);
        value_error("gather_csr: indices[" + std::to_string(first + bad.position) + "] is " +
                    std::to_string(bad.value) + ", expected 0 <= index < " + std::to_string(width));
      },
      rows.size(), rows.data<std::int32_t>(), indptr.size(), indptr.data<std::int32_t>(), indices.data<std::int32_t>(),
      data.size(), columns);
}

Array bind_gather_csr(const Array& data, const Array& indices, const Array& indptr, Index columns, const Array& rows) {
  constexpr const char* op = "gather_csr";
  require_float(op, "data", data);
  require_ndim(op, "data", data, 1);
  require_dtype(op, "indices", indices, DType::int32);
  require_shape(op, "indices", indices, data.shape());
  require_dtype(op, "indptr", indptr, DType::int32);
  require_ndim(op, "indptr", indptr, 1);
  if (indptr.size() == 0) value_error("gather_csr: indptr has shape (0,), expected (n + 1,)");
  if (columns < 0) value_error("gather_csr: columns is " + std::to_string(columns) + ", expected at least 0");
  require_ndim(op, "rows", rows, 1);
  const Index x_rows = indptr.size() - 1;
  require_indices(op, "rows", rows, x_rows);
  require_csr_rows(data, indices, indptr, columns, rows);
  Array y = new_array(op, {rows.size(), columns}, data.dtype());
  dispatch_float(data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { gather_csr(arguments...); }, rows.size(), x_rows, columns, data.size(),
        data.data<T>(), indices.data<std::int32_t>(), indptr.data<std::int32_t>(), rows.data<std::int32_t>(),
        y.data<T>());
  });
  return y;
}

Array bind_one_hot(const Array& labels, Index classes, const std::string& dtype_name) {
  const DType dtype = to_dtype("one_hot", dtype_name);
  if (classes < 0) value_error("one_hot: classes is " + std::to_string(classes) + ", expected at least 0");
  require_indices("one_hot", "labels", labels, classes);
  if (labels.ndim() == max_ndim)
    value_error("one_hot: labels has " + std::to_string(max_ndim) + " dimensions, expected at most " +
                std::to_string(max_ndim - 1));
  Shape shape = labels.shape();
  shape.append(classes);
  Array y = new_array("one_hot", shape, dtype);
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { one_hot(arguments...); }, labels.size(), classes, labels.data<std::int32_t>(),
        y.data<T>());
  };
  if (dtype == DType::int32) run(std::int32_t{});
  else dispatch_float(dtype, run);
  return y;
}

}  // namespace

void bind_movement(py::module_& m) {
  m.def("transpose", &bind_transpose, py::arg("x"), py::arg("axes"));
  m.def("broadcast_to", &bind_broadcast_to, py::arg("x"), py::arg("shape"));
  m.def("concatenate", &bind_concatenate, py::arg("arrays"), py::arg("axis"));
  m.def("narrow", &bind_narrow, py::arg("x"), py::arg("axis"), py::arg("start"), py::arg("length"));
  m.def("embed", &bind_embed, py::arg("x"), py::arg("axis"), py::arg("start"), py::arg("length"));
  m.def("gather", &bind_gather, py::arg("x"), py::arg("indices"));
  m.def("scatter_add", &bind_scatter_add, py::arg("x"), py::arg("indices"), py::arg("rows"));
  m.def("assign_rows", &bind_assign_rows, py::arg("x"), py::arg("indices"), py::arg("rows"));
  m.def("gather_csr", &bind_gather_csr, py::arg("data"), py::arg("indices"), py::arg("indptr"), py::arg("columns"),
        py::arg("rows"));
  m.def("one_hot", &bind_one_hot, py::arg("labels"), py::arg("classes"), py::arg("dtype"));
  m.def("warp2d", &bind_warp2d, py::arg("x"), py::arg("maps"), py::arg("field") = py::none(), py::arg("fill") = 0.0);
  m.def("warp2d_grad", &bind_warp2d_grad, py::arg("dy"), py::arg("maps"), py::arg("field") = py::none());
}

}  // namespace dlcore::DLCORE_DEVICE
