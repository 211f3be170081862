// Bindings of moved images, which movement.cpp registers.
#pragma once

#include <pybind11/stl.h>

#include "../movement.h"
#include "../vec.h"
#include "bind.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// The moves of a batch of images, checked; `argument` names the images.
WarpShape check_warp(const char* op, const char* argument, const Array& images, const Array& maps,
                     const std::optional<Array>& field) {
  require_float(op, argument, images);
  require_ndim(op, argument, images, 4);
  require_same_dtype(op, argument, images, "maps", maps);
  require_shape(op, "maps", maps, {images.shape(0), 2, 3});
  if (field) {
    require_same_dtype(op, argument, images, "field", *field);
    require_shape(op, "field", *field, {images.shape(0), 2, images.shape(2), images.shape(3)});
  }
  return {images.shape(0), images.shape(1), images.shape(2), images.shape(3)};
}

Array bind_warp2d(const Array& x, const Array& maps, const std::optional<Array>& field, double fill) {
  const WarpShape shape = check_warp("warp2d", "x", x, maps, field);
  Array y = new_array("warp2d", x.shape(), x.dtype());
  dispatch_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        8 * y.size(), [](auto... arguments) { warp2d(arguments...); }, shape, x.data<T>(), maps.data<T>(),
        field ? field->data<T>() : nullptr, static_cast<T>(fill), y.data<T>());
  });
  return y;
}

Array bind_warp2d_grad(const Array& dy, const Array& maps, const std::optional<Array>& field) {
  const WarpShape shape = check_warp("warp2d_grad", "dy", dy, maps, field);
  Array dx = new_array("warp2d_grad", dy.shape(), dy.dtype());
  dispatch_float(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(
        8 * dx.size(), [](auto... arguments) { warp2d_grad(arguments...); }, shape, dy.data<T>(), maps.data<T>(),
        field ? field->data<T>() : nullptr, dx.data<T>());
  });
  return dx;
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
