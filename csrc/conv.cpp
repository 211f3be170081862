#include "conv.h"

#include "conv/batch.h"
#include "conv/channels.h"
#include "conv/correlate.h"
#include "conv/pointwise.h"
#include "conv/weight.h"
#include "conv/weight_rows.h"
#include "instances/conv.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

Index products(const Axis& axis) {
  Index n = 0;
  for (Index o = 0; o < axis.outputs; ++o) {
    const TapRange taps = taps_of(axis, o);
    n += taps.end - taps.begin;
  }
  return n;
}

// Whether vectors over images take less time than vectors over positions. In multiply-adds; a cycle does two vectors.
template <typename T> bool prefer_batch(const Correlation<T>& c) {
  constexpr Index cycle = 2 * lanes<T>;
  constexpr Index tile_cycles = 25, transposed_per_cycle = 2, copied_per_cycle = 4;  // measured on Zen 3
  const Index rows = c.groups * c.rows, columns = c.horizontal.outputs, positions = c.vertical.outputs * columns;
  const Index flat = round_up((c.vertical.outputs - 1) * c.horizontal.length() + columns, lanes<T>);
  const Index computed = std::min(flat, c.vertical.outputs * round_up(columns, lanes<T>));
  const Index outputs = positions * rows;
  const Index copied = outputs + c.groups * c.channels * c.vertical.source_size * c.horizontal.source_size;
  const Index transposed = outputs + BatchCorrelator<T>::source_moved(c);
  const Index padded_batch = round_up(c.batch, image_lanes<T>);
  const Index by_position = c.batch * (computed * c.depth() * rows + copied / copied_per_cycle * cycle);
  const Index by_image =
      padded_batch * (products(c.vertical) * products(c.horizontal) * c.channels * rows +
                      positions * ceil_div(rows, MR<T>) * tile_cycles + transposed / transposed_per_cycle * cycle);
  return by_image < by_position;
}

template <typename T> void correlate(const Correlation<T>& c, Index kernel_width, const WeightView<T>& view) {
  const bool pointwise = PointwiseCorrelator<T>::suits(c), batch = !pointwise && prefer_batch(c);
  const bool channels = !pointwise && !batch && ChannelCorrelator<T>::suits(c);
  const PanelShape shape = channels ? PanelShape{lanes<T>, max_channel_vectors<T>} : PanelShape{1, MR<T>};
  const PackedWeights<T> weights(shape, c.groups, c.rows, c.channels, c.vertical, c.horizontal, kernel_width, view,
                                 batch ? DepthOrder::tap_channel : DepthOrder::channel_tap);
  if (pointwise) PointwiseCorrelator<T>(c, weights).run();
  else if (batch) BatchCorrelator<T>(c, weights).run();
  else if (channels) ChannelCorrelator<T>(c, weights).run();
  else Correlator<T>(c, weights).run();
}

// Whether one output stands for a whole image: images and kernels are rows of two matrices.
bool is_matrix_product(const ConvShape& s) {
  return s.groups == 1 && s.in_height == s.kernel_height && s.in_width == s.kernel_width && s.padding_height == 0 &&
         s.padding_width == 0 && (s.kernel_height == 1 || s.dilation_height == 1) &&
         (s.kernel_width == 1 || s.dilation_width == 1);
}

}  // namespace

template <typename T> void conv2d(const ConvShape& s, const T* x, const T* weight, T* y, const Epilogue<T>& epilogue) {
  const Index rows = s.out_channels / s.groups, channels = s.in_channels / s.groups;
  const Index kernel = s.kernel_height * s.kernel_width;
  if (s.batch == 0 || rows == 0) return;
  if (is_matrix_product(s))
    return matmul<T>(false, true, s.batch, rows, channels * kernel, 1, x, weight, 0, y, epilogue);
  Correlation<T> c{s.batch, s.groups, channels, rows, {}, {}, x, y, s.out_height(), s.out_width(), epilogue};
  c.vertical =
      forward_axis(s.in_height, s.kernel_height, s.stride_height, s.padding_height, s.dilation_height, s.out_height());
  c.horizontal =
      forward_axis(s.in_width, s.kernel_width, s.stride_width, s.padding_width, s.dilation_width, s.out_width());
  correlate(c, s.kernel_width, {weight, rows * channels * kernel, channels * kernel, kernel});
}

// Input elements a stride apart receive through the same kernel elements: each such class is a correlation of dy.
template <typename T> void conv2d_input_grad(const ConvShape& s, const T* dy, const T* weight, T* dx) {
  const Index rows = s.in_channels / s.groups, channels = s.out_channels / s.groups;
  const Index kernel = s.kernel_height * s.kernel_width;
  if (s.batch == 0 || rows == 0) return;
  if (is_matrix_product(s)) return matmul<T>(false, false, s.batch, rows * kernel, channels, 1, dy, weight, 0, dx, {});
  Correlation<T> c{s.batch, s.groups, channels, rows, {}, {}, dy, dx, s.in_height, s.in_width, {}};
  for (Index i = 0; i < std::min(s.stride_height, s.in_height); ++i) {
    c.vertical = adjoint_axis(s.in_height, s.kernel_height, s.stride_height, s.padding_height, s.dilation_height,
                              s.out_height(), (i + s.padding_height) % s.stride_height);
    for (Index j = 0; j < std::min(s.stride_width, s.in_width); ++j) {
      c.horizontal = adjoint_axis(s.in_width, s.kernel_width, s.stride_width, s.padding_width, s.dilation_width,
                                  s.out_width(), (j + s.padding_width) % s.stride_width);
      correlate(c, s.kernel_width, {weight, channels * rows * kernel, kernel, rows * kernel});
    }
  }
}

template <typename T> void conv2d_weight_grad(const ConvShape& s, const T* x, const T* dy, T* dweight) {
  const Index size = s.out_channels * (s.in_channels / s.groups) * s.kernel_height * s.kernel_width;
  if (size == 0) return;
  if (s.batch == 0) std::fill_n(dweight, size, T{0});
  else if (is_matrix_product(s))
    matmul<T>(true, false, s.out_channels, size / s.out_channels, s.batch, 1, dy, x, 0, dweight, {});
  else if (suits_weight_product<T>(s)) pointwise_weight_grad(s, x, dy, dweight);
  else if (RowWeightGrad<T>::is_preferred(s)) RowWeightGrad<T>(s, x, dy, dweight).run();
  else WeightGrad<T>(s, x, dy, dweight).run();
}

DLCORE_CONV_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
