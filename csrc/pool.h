// Pooling of the planes of NCHW images, and its adjoints.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

struct PoolShape {
  Index planes, in_height, in_width;  // planes: batch * channels
  Index kernel_height, kernel_width, stride_height, stride_width, padding_height, padding_width;

  Index out_height() const { return (in_height + 2 * padding_height - kernel_height) / stride_height + 1; }
  Index out_width() const { return (in_width + 2 * padding_width - kernel_width) / stride_width + 1; }
};

// y: the largest element of each window, NaN counting as larger than any number; indices: the first place of it in the
// plane. Padding is -inf, and never chosen; it is at most half the kernel, so that every window has an element.
template <typename T> void max_pool2d(const PoolShape& shape, const T* x, T* y, std::int32_t* indices);

// Planes of pooled images: of the input, and of the output.
struct PoolPlanes {
  Index planes, in_height, in_width, out_height, out_width;
};

// dx[indices[i]] += dy[i], dx being 0 before; the indices lie in the input's plane.
template <typename T> void max_pool2d_grad(const PoolPlanes& size, const T* dy, const std::int32_t* indices, T* dx);
// Between planes of `large` and of `small` elements: y[i] = x[indices[i]].
template <typename T>
void max_pool2d_gather(Index planes, Index large, Index small, const T* x, const std::int32_t* indices, T* y);

// The sum of each window, padding being 0, over kernel_height * kernel_width.
template <typename T> void avg_pool2d(const PoolShape& shape, const T* x, T* y);
template <typename T> void avg_pool2d_grad(const PoolShape& shape, const T* dy, T* dx);

}  // namespace dlcore::DLCORE_DEVICE
