#include "../pool.h"

#include <limits>

#include "../movement.h"
#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

struct Pooling {
  PoolShape shape;
  Shape output;
};

// `images` is (n, c, height, width).
Pooling make_pooling(const char* op, const Shape& images, const py::handle& kernel_size, const py::handle& stride,
                     const py::handle& padding) {
  const Pair k = to_pair(op, "kernel_size", kernel_size, 1), s = to_pair(op, "stride", stride, 1);
  const Pair p = to_pair(op, "padding", padding, 0);
  if (p.height > k.height / 2 || p.width > k.width / 2)
    value_error(std::string(op) + ": padding is " + text(p) + ", expected at most half of kernel_size " + text(k));
  const Index height = images[2], width = images[3];
  if (height == 0 || width == 0 || k.height > padded_size(op, height, p.height) ||
      k.width > padded_size(op, width, p.width))
    value_error(std::string(op) + ": kernel_size " + text(k) + " does not fit in images of " +
                text(Pair{height, width}) + " with padding " + text(p));
  Pooling result;
  const bool none = images[0] == 0 || images[1] == 0;
  result.shape = {
      none ? 0 : images[0] * images[1], height, width, k.height, k.width, s.height, s.width, p.height, p.width};
  result.output = {images[0], images[1], result.shape.out_height(), result.shape.out_width()};
  return result;
}

void require_plane_fits(const char* op, Index height, Index width) {
  Index size = 0;
  if (__builtin_mul_overflow(height, width, &size) || size > std::numeric_limits<std::int32_t>::max())
    value_error(std::string(op) + ": planes of " + text(Pair{height, width}) +
                " have more elements than an int32 index can number");
}

py::tuple bind_max_pool2d(const Array& x, const py::handle& kernel_size, const py::handle& stride,
                          const py::handle& padding) {
  require_float("max_pool2d", "x", x);
  require_ndim("max_pool2d", "x", x, 4);
  const Pooling pooling = make_pooling("max_pool2d", x.shape(), kernel_size, stride, padding);
  require_plane_fits("max_pool2d", x.shape(2), x.shape(3));
  Array y = new_array("max_pool2d", pooling.output, x.dtype());
  Array indices = new_array("max_pool2d", pooling.output, DType::int32);
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        x.size(), [](auto... arguments) { max_pool2d(arguments...); }, pooling.shape, x.data<T>(), y.data<T>(),
        indices.data<std::int32_t>());
  });
  return py::make_tuple(std::move(y), std::move(indices));
}

struct Planes {
  Index count, large, small;
};

// `small` and `indices` have one shape; each index lies in a plane of height * width elements.
Planes check_indices(const char* op, const Shape& images, const Array& indices, bool own = false) {
  require_plane_fits(op, images[2], images[3]);
  const Index large = images[2] * images[3];
  if (!own)
    launch(
        indices.size(),
        [](const char* who, Index n, const std::int32_t* index, Index below) {
          const BadIndex bad = first_out_of_range(n, index, below);
          if (bad.position < n)
            value_error(std::string(who) + ": indices[" + std::to_string(bad.position) + "] of the flat array is " +
                        std::to_string(bad.value) + ", expected 0 <= index < " + std::to_string(below));
        },
        op, indices.size(), indices.data<std::int32_t>(), large);
  const bool none = images[0] == 0 || images[1] == 0;
  return {none ? 0 : images[0] * images[1], large, none ? 0 : indices.shape(2) * indices.shape(3)};
}

// `own` indices are as max_pool2d left them for planes of this size: they lie in them without a look. The kernel leaves
// out those that do not.
Array bind_max_pool2d_grad(const Array& dy, const Array& indices, const py::handle& input_size, bool own) {
  require_float("max_pool2d_grad", "dy", dy);
  require_ndim("max_pool2d_grad", "dy", dy, 4);
  require_dtype("max_pool2d_grad", "indices", indices, DType::int32);
  require_same_shape("max_pool2d_grad", "dy", dy, "indices", indices);
  const Pair size = to_pair("max_pool2d_grad", "input_size", input_size, 0);
  const Shape images = {dy.shape(0), dy.shape(1), size.height, size.width};
  const Planes planes = check_indices("max_pool2d_grad", images, indices, own);
  const PoolPlanes pooled = {planes.count, size.height, size.width, dy.shape(2), dy.shape(3)};
  Array dx = new_array("max_pool2d_grad", images, dy.dtype());
  dispatch_float(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        dx.size(), [](auto... arguments) { max_pool2d_grad(arguments...); }, pooled, dy.data<T>(),
        indices.data<std::int32_t>(), dx.data<T>());
  });
  return dx;
}

Array bind_max_pool2d_gather(const Array& x, const Array& indices) {
  require_float("max_pool2d_gather", "x", x);
  require_ndim("max_pool2d_gather", "x", x, 4);
  require_dtype("max_pool2d_gather", "indices", indices, DType::int32);
  require_ndim("max_pool2d_gather", "indices", indices, 4);
  if (indices.shape(0) != x.shape(0) || indices.shape(1) != x.shape(1))
    value_error("max_pool2d_gather: planes differ: x is " + text(x.shape()) + ", indices is " + text(indices.shape()));
  const Planes planes = check_indices("max_pool2d_gather", x.shape(), indices);
  Array y = new_array("max_pool2d_gather", indices.shape(), x.dtype());
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        y.size(), [](auto... arguments) { max_pool2d_gather(arguments...); }, planes.count, planes.large, planes.small,
        x.data<T>(), indices.data<std::int32_t>(), y.data<T>());
  });
  return y;
}

Array bind_avg_pool2d(const Array& x, const py::handle& kernel_size, const py::handle& stride,
                      const py::handle& padding) {
  require_float("avg_pool2d", "x", x);
  require_ndim("avg_pool2d", "x", x, 4);
  const Pooling pooling = make_pooling("avg_pool2d", x.shape(), kernel_size, stride, padding);
  Array y = new_array("avg_pool2d", pooling.output, x.dtype());
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(x.size(), [](auto... arguments) { avg_pool2d(arguments...); }, pooling.shape, x.data<T>(), y.data<T>());
  });
  return y;
}

Array bind_avg_pool2d_grad(const Array& dy, const py::handle& kernel_size, const py::handle& stride,
                           const py::handle& padding, const py::handle& input_size) {
  require_float("avg_pool2d_grad", "dy", dy);
  require_ndim("avg_pool2d_grad", "dy", dy, 4);
  const Pair size = to_pair("avg_pool2d_grad", "input_size", input_size, 0);
  const Shape images = {dy.shape(0), dy.shape(1), size.height, size.width};
  const Pooling pooling = make_pooling("avg_pool2d_grad", images, kernel_size, stride, padding);
  require_shape("avg_pool2d_grad", "dy", dy, pooling.output);
  Array dx = new_array("avg_pool2d_grad", images, dy.dtype());
  dispatch_float(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        dx.size(), [](auto... arguments) { avg_pool2d_grad(arguments...); }, pooling.shape, dy.data<T>(), dx.data<T>());
  });
  return dx;
}

}  // namespace

void bind_pool(py::module_& m) {
  m.def("max_pool2d", &bind_max_pool2d, py::arg("x"), py::arg("kernel_size"), py::arg("stride"), py::arg("padding"));
  m.def("max_pool2d_grad", &bind_max_pool2d_grad, py::arg("dy"), py::arg("indices"), py::arg("input_size"),
        py::arg("own") = false);
  m.def("max_pool2d_gather", &bind_max_pool2d_gather, py::arg("x"), py::arg("indices"));
  m.def("avg_pool2d", &bind_avg_pool2d, py::arg("x"), py::arg("kernel_size"), py::arg("stride"), py::arg("padding"));
  m.def("avg_pool2d_grad", &bind_avg_pool2d_grad, py::arg("dy"), py::arg("kernel_size"), py::arg("stride"),
        py::arg("padding"), py::arg("input_size"));
}

}  // namespace dlcore::DLCORE_DEVICE
