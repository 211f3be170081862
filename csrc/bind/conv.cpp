#include "../conv.h"

#include <pybind11/stl.h>

#include <algorithm>

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Stride, padding, dilation and groups, as the three functions take them.
struct Options {
  Pair stride, padding, dilation;
  Index groups;
};

Options to_options(const char* op, const py::handle& stride, const py::handle& padding, const py::handle& dilation,
                   Index groups) {
  if (groups < 1) value_error(std::string(op) + ": groups is " + std::to_string(groups) + ", expected at least 1");
  return {to_pair(op, "stride", stride, 1), to_pair(op, "padding", padding, 0), to_pair(op, "dilation", dilation, 1),
          groups};
}

void require_groups(const char* op, const char* channels_name, Index channels, Index groups) {
  if (channels % groups != 0)
    value_error(std::string(op) + ": groups is " + std::to_string(groups) + ", which does not divide " + channels_name +
                " " + std::to_string(channels));
}

// What the kernels lay out, copies of images with their padding and under a dilated kernel, must stay far from 63 bits.
void require_planes_fit(const char* op, const Shape& images, const Shape& filters, const Options& options) {
  constexpr Index most = Index{1} << 42;
  if (images[0] == 0) return;  // nothing is laid out
  Index size = std::max<Index>(1, std::max(images[1], filters[0]) / options.groups);
  if (__builtin_mul_overflow(size, padded_size(op, images[2], options.padding.height), &size) ||
      __builtin_mul_overflow(size, padded_size(op, images[3], options.padding.width), &size) || size > most)
    value_error(std::string(op) + ": images of " + text(Pair{images[2], images[3]}) + " with padding " +
                text(options.padding) + " have more than 2**42 elements in the channels of a group");
}

// images: (n, in_channels, height, width); filters: (out_channels, in_channels / groups, height, width).
ConvShape to_conv_shape(const char* op, const Shape& images, const Shape& filters, const Options& options) {
  const auto [stride, padding, dilation, groups] = options;
  require_groups(op, "in_channels", images[1], groups);
  require_groups(op, "out_channels", filters[0], groups);
  const Pair kernel{filters[2], filters[3]};
  if (kernel.height < 1 || kernel.width < 1)
    value_error(std::string(op) + ": the kernel is " + text(kernel) + ", expected at least (1, 1)");
  // (kernel - 1) dilation + 1 <= padded size, without the product
  if (kernel.height - 1 > (padded_size(op, images[2], padding.height) - 1) / dilation.height ||
      kernel.width - 1 > (padded_size(op, images[3], padding.width) - 1) / dilation.width ||
      images[2] + padding.height == 0 || images[3] + padding.width == 0)
    value_error(std::string(op) + ": kernel " + text(kernel) + " with dilation " + text(dilation) +
                " does not fit in images of " + text(Pair{images[2], images[3]}) + " with padding " + text(padding));
  require_planes_fit(op, images, filters, options);
  return {images[0],     images[1],    images[2],      images[3],     filters[0],      kernel.height,  kernel.width,
          stride.height, stride.width, padding.height, padding.width, dilation.height, dilation.width, groups};
}

Shape output_shape(const ConvShape& s) { return {s.batch, s.out_channels, s.out_height(), s.out_width()}; }

// Enough to decide whether the GIL is worth releasing; more taps than that cannot overflow.
Index rough_work(const Array& y, const ConvShape& s) {
  constexpr Index many = 1000;
  return std::min(many, s.in_channels / s.groups) * std::min(many, s.kernel_height * s.kernel_width) * y.size() / 16;
}

Array bind_conv2d(const Array& x, const Array& weight, const std::optional<Array>& bias, const py::handle& stride,
                  const py::handle& padding, const py::handle& dilation, Index groups, const std::string& activation,
                  double parameter) {
  require_float("conv2d", "x", x);
  require_same_dtype("conv2d", "x", x, "weight", weight);
  require_ndim("conv2d", "x", x, 4);
  require_ndim("conv2d", "weight", weight, 4);
  const ConvShape shape =
      to_conv_shape("conv2d", x.shape(), weight.shape(), to_options("conv2d", stride, padding, dilation, groups));
  if (weight.shape(1) != x.shape(1) / groups)
    value_error("conv2d: channels differ: x is " + text(x.shape()) + ", weight is " + text(weight.shape()) +
                ", groups is " + std::to_string(groups));
  if (bias) {
    require_same_dtype("conv2d", "x", x, "bias", *bias);
    require_shape("conv2d", "bias", *bias, {weight.shape(0)});
  }
  const Activation kind = to_activation("conv2d", activation, parameter);
  Array y = new_array("conv2d", output_shape(shape), x.dtype());
  if (y.size() == 0) return y;
  dispatch_float(x.dtype(), [&]<typename T>(T) {
    const Epilogue<T> epilogue{bias ? bias->data<T>() : nullptr, kind, static_cast<T>(parameter)};
    launch(
        rough_work(y, shape), [](auto... arguments) { conv2d(arguments...); }, shape, x.data<T>(), weight.data<T>(),
        y.data<T>(), epilogue);
  });
  return y;
}

Array bind_conv2d_input_grad(const Array& dy, const Array& weight, const py::handle& input_size,
                             const py::handle& stride, const py::handle& padding, const py::handle& dilation,
                             Index groups) {
  const char* op = "conv2d_input_grad";
  require_float(op, "dy", dy);
  require_same_dtype(op, "dy", dy, "weight", weight);
  require_ndim(op, "dy", dy, 4);
  require_ndim(op, "weight", weight, 4);
  const Options options = to_options(op, stride, padding, dilation, groups);
  const Pair size = to_pair(op, "input_size", input_size, 0);
  Index in_channels = 0;
  if (__builtin_mul_overflow(weight.shape(1), groups, &in_channels))
    value_error(std::string(op) + ": weight is " + text(weight.shape()) + ", groups is " + std::to_string(groups) +
                ": in_channels has more than 63 bits");
  const Shape images = {dy.shape(0), in_channels, size.height, size.width};
  const ConvShape shape = to_conv_shape(op, images, weight.shape(), options);
  require_shape(op, "dy", dy, output_shape(shape));
  Array dx = new_array(op, images, dy.dtype());
  if (dx.size() == 0) return dx;
  dispatch_float(dy.dtype(), [&]<typename T>(T) {
    launch(
        rough_work(dy, shape) + dx.size(), [](auto... arguments) { conv2d_input_grad(arguments...); }, shape,
        dy.data<T>(), weight.data<T>(), dx.data<T>());
  });
  return dx;
}

Array bind_conv2d_weight_grad(const Array& x, const Array& dy, const py::handle& kernel_size, const py::handle& stride,
                              const py::handle& padding, const py::handle& dilation, Index groups,
                              const std::optional<Array>& out) {
  const char* op = "conv2d_weight_grad";
  require_float(op, "x", x);
  require_same_dtype(op, "x", x, "dy", dy);
  require_ndim(op, "x", x, 4);
  require_ndim(op, "dy", dy, 4);
  const Options options = to_options(op, stride, padding, dilation, groups);
  const Pair kernel = to_pair(op, "kernel_size", kernel_size, 1);
  const Shape filters = {dy.shape(1), x.shape(1) / groups, kernel.height, kernel.width};
  const ConvShape shape = to_conv_shape(op, x.shape(), filters, options);
  require_shape(op, "dy", dy, output_shape(shape));
  Array dweight = output_or_new(op, out, filters, x.dtype());
  if (out) {
    require_no_overlap(op, "out", dweight, "x", x);
    require_no_overlap(op, "out", dweight, "dy", dy);
  }
  if (dweight.size() == 0) return dweight;
  dispatch_float(x.dtype(), [&]<typename T>(T) {
    launch(
        rough_work(dy, shape) + dweight.size(), [](auto... arguments) { conv2d_weight_grad(arguments...); }, shape,
        x.data<T>(), dy.data<T>(), dweight.data<T>());
  });
  return dweight;
}

}  // namespace

void bind_conv(py::module_& m) {
  m.def("conv2d", &bind_conv2d, py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("groups"), py::arg("activation") = "identity", py::arg("parameter") = 0.0);
  m.def("conv2d_input_grad", &bind_conv2d_input_grad, py::arg("dy"), py::arg("weight"), py::arg("input_size"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"));
  m.def("conv2d_weight_grad", &bind_conv2d_weight_grad, py::arg("x"), py::arg("dy"), py::arg("kernel_size"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"), py::arg("out") = py::none());
}

}  // namespace dlcore::DLCORE_DEVICE
