#include "../csrc/conv.h"

#include <algorithm>
#include <stdexcept>
#include <type_traits>

#include "../csrc/instances/conv.h"
#include "conv_operands.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Indices within a launch are of 32 bits.
constexpr Index most_positions = Index{1} << 30;

void require_range(const ConvShape& s) {
  const Index taps = std::max(s.in_channels, s.out_channels) / s.groups * s.kernel_height * s.kernel_width;
  if (std::max({s.in_height + 2 * s.padding_height, s.in_width + 2 * s.padding_width, s.stride_height,
                s.stride_width}) >= most_extent ||
      std::max({taps, s.out_height() * s.out_width(), s.in_height * s.in_width}) >= most_positions)
    throw std::runtime_error("convolution: images or filters beyond 2**30 elements a plane are not for this device");
}

// Calls f(first image, images) for as many at a time as have indices of 32 bits.
template <typename F> void for_images(Index batch, Index plane, const F& f) {
  const Index most = std::max<Index>(1, most_positions / std::max<Index>(plane, 1));
  for (Index first = 0; first < batch; first += most) f(first, std::min(most, batch - first));
}

int as_int(Index x) { return static_cast<int>(x); }

// x under the kernel, at the positions of y.
template <typename T> Patches<T, false> patches_of_x(const ConvShape& s, const T* x, Index images) {
  const Index plane = s.in_height * s.in_width, channels = s.in_channels / s.groups;
  const Index positions = s.out_height() * s.out_width(), kernel = s.kernel_height * s.kernel_width;
  return {x,
          s.in_channels * plane,
          channels * plane,
          plane,
          static_cast<unsigned>(images * positions),
          static_cast<unsigned>(channels * kernel),
          Divisor::of(positions),
          Divisor::of(s.out_width()),
          Divisor::of(kernel),
          Divisor::of(s.kernel_width),
          {as_int(s.in_height), as_int(s.stride_height), as_int(s.padding_height), as_int(s.dilation_height), {}},
          {as_int(s.in_width), as_int(s.stride_width), as_int(s.padding_width), as_int(s.dilation_width), {}}};
}

// dy under the kernel, at the positions of x.
template <typename T, bool adjoint> Patches<T, adjoint> patches_of_dy(const ConvShape& s, const T* dy, Index images) {
  const Index plane = s.out_height() * s.out_width(), channels = s.out_channels / s.groups;
  const Index positions = s.in_height * s.in_width, kernel = s.kernel_height * s.kernel_width;
  const auto axis = [](Index size, Index stride, Index padding, Index dilation) {
    if constexpr (adjoint)
      return Axis{as_int(size), as_int(stride), as_int(padding), as_int(dilation), Divisor::of(stride)};
    else return Axis{as_int(size), 1, -as_int(padding), -as_int(dilation), {}};
  };
  return {dy,
          s.out_channels * plane,
          channels * plane,
          plane,
          static_cast<unsigned>(images * positions),
          static_cast<unsigned>(channels * kernel),
          Divisor::of(positions),
          Divisor::of(s.in_width),
          Divisor::of(kernel),
          Divisor::of(s.kernel_width),
          axis(s.out_height(), s.stride_height, s.padding_height, s.dilation_height),
          axis(s.out_width(), s.stride_width, s.padding_width, s.dilation_width)};
}

template <typename T>
PlanesFinish<T> planes(T* y, Index channels, Index groups, Index plane, const Epilogue<T>& epilogue) {
  return {y,
          channels,
          channels / groups,
          plane,
          Divisor::of(plane),
          epilogue,
          plane % vector_size<T> == 0 && is_aligned(y)};
}

}  // namespace

template <typename T> void conv2d(const ConvShape& s, const T* x, const T* weight, T* y, const Epilogue<T>& epilogue) {
  require_range(s);
  const Index filters = s.out_channels / s.groups, depth = s.in_channels / s.groups * s.kernel_height * s.kernel_width;
  const Index plane = s.out_height() * s.out_width(), pixels = s.in_height * s.in_width;
  const auto a = MatrixOperand<T, true, true>::of(weight, depth, filters, filters * depth);
  for_images(s.batch, plane, [&](Index first, Index images) {
    gemm<T>("conv2d", filters, images * plane, depth, a,
            PositionsByTaps<T, false>{patches_of_x(s, x + first * s.in_channels * pixels, images)},
            planes(y + first * s.out_channels * plane, s.out_channels, s.groups, plane, epilogue), s.groups);
  });
}

template <typename T> void conv2d_input_grad(const ConvShape& s, const T* dy, const T* weight, T* dx) {
  require_range(s);
  const Index channels = s.in_channels / s.groups, filters = s.out_channels / s.groups;
  const Index kernel = s.kernel_height * s.kernel_width;
  const Index plane = s.out_height() * s.out_width(), pixels = s.in_height * s.in_width;
  const SplitDepth<T> a{weight, channels, kernel, channels * kernel, filters * channels * kernel, Divisor::of(kernel)};
  const auto run = [&]<bool adjoint>(std::bool_constant<adjoint>) {
    for_images(s.batch, pixels, [&](Index first, Index images) {
      gemm<T>("conv2d_input_grad", channels, images * pixels, filters * kernel, a,
              PositionsByTaps<T, adjoint>{patches_of_dy<T, adjoint>(s, dy + first * s.out_channels * plane, images)},
              planes(dx + first * s.in_channels * pixels, s.in_channels, s.groups, pixels, Epilogue<T>{}), s.groups);
    });
  };
  if (s.stride_height == 1 && s.stride_width == 1) run(std::false_type{});
  else run(std::true_type{});
}

template <typename T> void conv2d_weight_grad(const ConvShape& s, const T* x, const T* dy, T* dweight) {
  require_range(s);
  const Index filters = s.out_channels / s.groups, taps = s.in_channels / s.groups * s.kernel_height * s.kernel_width;
  const Index plane = s.out_height() * s.out_width(), pixels = s.in_height * s.in_width;
  const auto product = [&](Index first, Index images) {
    const SplitDepth<T> a{dy + first * s.out_channels * plane,
                          filters,
                          plane,
                          s.out_channels * plane,
                          filters * plane,
                          Divisor::of(plane)};
    gemm<T>("conv2d_weight_grad", filters, taps, images * plane, a,
            TapsByPositions<T>{patches_of_x(s, x + first * s.in_channels * pixels, images)},
            MatrixFinish<T>::of(dweight, taps, T(1), first == 0 ? T(0) : T(1), {}, {}, filters), s.groups);
  };
  for_images(s.batch, plane, product);
  if (s.batch == 0) product(0, 0);
}

DLCORE_CONV_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
