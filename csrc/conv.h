// Two-dimensional convolution (cross-correlation) of NCHW images, and its two adjoints.
#pragma once

#include "matmul.h"
#include "types.h"

namespace dlcore::DLCORE_DEVICE {

struct ConvShape {
  Index batch, in_channels, in_height, in_width;
  Index out_channels, kernel_height,
      kernel_width;  // weight: (out_channels, in_channels / groups, kernel_height, kernel_width)
  Index stride_height, stride_width, padding_height, padding_width, dilation_height, dilation_width, groups;

  Index out_height() const {
    return (in_height + 2 * padding_height - dilation_height * (kernel_height - 1) - 1) / stride_height + 1;
  }
  Index out_width() const {
    return (in_width + 2 * padding_width - dilation_width * (kernel_width - 1) - 1) / stride_width + 1;
  }
};

// epilogue.bias has out_channels elements.
template <typename T>
void conv2d(const ConvShape& shape, const T* x, const T* weight, T* y, const Epilogue<T>& epilogue = {});
template <typename T> void conv2d_input_grad(const ConvShape& shape, const T* dy, const T* weight, T* dx);
template <typename T> void conv2d_weight_grad(const ConvShape& shape, const T* x, const T* dy, T* dweight);

}  // namespace dlcore::DLCORE_DEVICE
