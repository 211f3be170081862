#include "conv.h"

#include "conv_correlate.h"
#include "conv_weight.h"

namespace dlcore::DLCORE_DEVICE {

template <typename T> void conv2d(const ConvShape& s, const T* x, const T* weight, T* y, const Epilogue<T>& epilogue) {
  const Index rows = s.out_channels / s.groups, taps = s.in_channels / s.groups * s.kernel_height * s.kernel_width;
  if (s.batch == 0 || rows == 0) return;
  Correlation<T> c{s.batch, s.groups, s.in_channels / s.groups, rows,          {},      {},
                   x,       y,        s.out_height(),           s.out_width(), epilogue};
  c.vertical =
      forward_axis(s.in_height, s.kernel_height, s.stride_height, s.padding_height, s.dilation_height, s.out_height());
  c.horizontal =
      forward_axis(s.in_width, s.kernel_width, s.stride_width, s.padding_width, s.dilation_width, s.out_width());
  const PackedWeights<T> weights(s.groups, rows, taps);
  weights.fill(s.groups, [&](Index group, Index row, Index p) { return weight[(group * rows + row) * taps + p]; });
  correlate(c, weights);
}

// Input elements a stride apart receive through the same kernel elements: each such class is a correlation of dy.
template <typename T> void conv2d_input_grad(const ConvShape& s, const T* dy, const T* weight, T* dx) {
  const Index rows = s.in_channels / s.groups, channels = s.out_channels / s.groups;
  const Index kernel = s.kernel_height * s.kernel_width;
  if (s.batch == 0 || rows == 0) return;
  Correlation<T> c{s.batch, s.groups, channels, rows, {}, {}, dy, dx, s.in_height, s.in_width, {}};
  for (Index i = 0; i < std::min(s.stride_height, s.in_height); ++i) {
    c.vertical = adjoint_axis(s.in_height, s.kernel_height, s.stride_height, s.padding_height, s.dilation_height,
                              s.out_height(), (i + s.padding_height) % s.stride_height);
    for (Index j = 0; j < std::min(s.stride_width, s.in_width); ++j) {
      c.horizontal = adjoint_axis(s.in_width, s.kernel_width, s.stride_width, s.padding_width, s.dilation_width,
                                  s.out_width(), (j + s.padding_width) % s.stride_width);
      const Index taps = c.vertical.taps * c.horizontal.taps;
      const PackedWeights<T> weights(s.groups, rows, channels * taps);
      weights.fill(s.groups, [&](Index group, Index row, Index p) {
        const Index channel = p / std::max<Index>(1, taps), tap = p % std::max<Index>(1, taps);
        const Index element = c.vertical.tap.data()[tap / c.horizontal.taps].kernel * s.kernel_width +
                              c.horizontal.tap.data()[tap % c.horizontal.taps].kernel;
        return weight[((group * channels + channel) * rows + row) * kernel + element];
      });
      correlate(c, weights);
    }
  }
}

template <typename T> void conv2d_weight_grad(const ConvShape& s, const T* x, const T* dy, T* dweight) {
  const Index size = s.out_channels * (s.in_channels / s.groups) * s.kernel_height * s.kernel_width;
  if (size == 0) return;
  if (s.batch == 0) std::fill_n(dweight, size, T{0});
  else WeightGrad<T>(s, x, dy, dweight).run();
}

#define DLCORE_INSTANTIATE(T)                                                         \
  template void conv2d(const ConvShape&, const T*, const T*, T*, const Epilogue<T>&); \
  template void conv2d_input_grad(const ConvShape&, const T*, const T*, T*);          \
  template void conv2d_weight_grad(const ConvShape&, const T*, const T*, T*);
DLCORE_INSTANTIATE(float)
DLCORE_INSTANTIATE(double)
#undef DLCORE_INSTANTIATE

}  // namespace dlcore::DLCORE_DEVICE
