#include "pool.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "instances/pool.h"
#include "memory.h"
#include "parallel.h"
#include "pool/block.h"
#include "pool/scatter.h"
#include "pool/tiles.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Along an axis whose padding is at least the image, every window covers the whole image, the padding being at most
// half the window: as good as windows of the image itself, none apart from the others. Neither a padded plane nor a
// loop over a window then grows with what was asked for. The numbers of outputs are those of the shape as it was.
PoolShape without_surplus(PoolShape s) {
  const auto clip = [](Index size, Index& kernel, Index& stride, Index& padding) {
    if (padding < size) return;
    kernel = size;
    stride = padding = 0;
  };
  clip(s.in_height, s.kernel_height, s.stride_height, s.padding_height);
  clip(s.in_width, s.kernel_width, s.stride_width, s.padding_width);
  return s;
}

Index planes_grain(Index elements) { return std::max<Index>(1, elementwise_grain / std::max<Index>(1, elements)); }

// Where the windows of one output row lie in a plane with its padding around it.
struct WindowRow {
  Index row_stride;     // of the padded plane
  Index height, width;  // of a window
  Index step;           // between windows
  Index plane_width;    // without padding
  Index row, column;    // of the first window, in the plane without padding; may be negative
};

template <typename T> struct Maximum {
  static constexpr T padding = -std::numeric_limits<T>::infinity();
  T* y;
  std::int32_t* indices;

  // The windows from the j-th on, whose first element is `top`.
  template <int bytes, int kernel, int step>
  DLCORE_INLINE void reduce(const WindowRow& windows, const T* top, Index j) const {
    using Values = typename Block<T, bytes>::Values;
    using Places = typename Block<T, bytes>::Places;
    const Index stride = step ? step : windows.step;
    Places column;
    for (int k = 0; k < Block<T, bytes>::count; ++k)
      column[k] = static_cast<IntOf<T>>((j + k) * stride + windows.column);
    Values value = Values{} + padding;  // where a window has nothing above -inf, its first element
    Places place =
        (column < 0 ? Places{} : column) + static_cast<IntOf<T>>(std::max<Index>(0, windows.row) * windows.plane_width);
    for (Index r = 0; r < (kernel ? kernel : windows.height); ++r) {
      const T* from = top + r * windows.row_stride;
      const Places at = column + static_cast<IntOf<T>>((windows.row + r) * windows.plane_width);
      for (Index c = 0; c < (kernel ? kernel : windows.width); ++c) {
        const Values v = load_steps<Values>(from + c, stride);
        const Places keep = (v <= value) | (value != value);
        value = keep ? value : v;
        place = keep ? place : at + static_cast<IntOf<T>>(c);
      }
    }
    const auto found = __builtin_convertvector(place, typename Block<T, bytes>::Indices);
    std::memcpy(y + j, &value, sizeof value);
    std::memcpy(indices + j, &found, sizeof found);
  }
};

template <typename T> struct Average {
  static constexpr T padding = 0;
  T* y;
  T area;

  template <int bytes, int kernel, int step>
  DLCORE_INLINE void reduce(const WindowRow& windows, const T* top, Index j) const {
    using Values = typename Block<T, bytes>::Values;
    const Index stride = step ? step : windows.step;
    Values total{};
    for (Index r = 0; r < (kernel ? kernel : windows.height); ++r) {
      Values row{};
      for (Index c = 0; c < (kernel ? kernel : windows.width); ++c)
        row += load_steps<Values>(top + r * windows.row_stride + c, stride);
      total += row;
    }
    total /= area;
    std::memcpy(y + j, &total, sizeof total);
  }
};

// kernel and step: 0 where not known at compile time. n is at least the number of outputs in a block.
template <int bytes, int kernel, int step, typename T, typename Output>
void reduce_row(const WindowRow& windows, Index n, const T* top, const Output& output) {
  constexpr Index count = bytes / static_cast<int>(sizeof(T));
  for (Index j = 0; j < n; j += count) {
    j = std::min(j, n - count);  // the last block may overlap the one before
    output.template reduce<bytes, kernel, step>(windows, top + j * (step ? step : windows.step), j);
  }
}

template <typename T, typename Output> using ReduceRow = void (*)(const WindowRow&, Index, const T*, const Output&);

template <int bytes, typename T, typename Output> ReduceRow<T, Output> choose_geometry(const PoolShape& s) {
  if (s.kernel_height == 2 && s.kernel_width == 2 && s.stride_width == 2) return reduce_row<bytes, 2, 2, T, Output>;
  if (s.stride_width == 1) return reduce_row<bytes, 0, 1, T, Output>;
  if (s.stride_width == 2) return reduce_row<bytes, 0, 2, T, Output>;
  return reduce_row<bytes, 0, 0, T, Output>;
}

template <typename T, typename Output> ReduceRow<T, Output> choose_row(const PoolShape& s, Index out_width) {
  const auto row_bytes = out_width * static_cast<Index>(sizeof(T));
  if constexpr (vector_bytes >= 64)
    if (row_bytes >= 64) return choose_geometry<64, T, Output>(s);
  if constexpr (vector_bytes >= 32)
    if (row_bytes >= 32) return choose_geometry<32, T, Output>(s);
  if (row_bytes >= 16) return choose_geometry<16, T, Output>(s);
  return reduce_row<sizeof(T), 0, 0, T, Output>;
}

// output_at(i) is where the results of output row i of all planes go.
template <typename T, typename Output, typename OutputAt>
void reduce_windows(const PoolShape& given, const T* x, const OutputAt& output_at) {
  const Index out_height = given.out_height(), out_width = given.out_width();
  const PoolShape shape = without_surplus(given);
  const Index in_size = shape.in_height * shape.in_width;
  const Index padded_width = shape.in_width + 2 * shape.padding_width;
  const Index padded_size = (shape.in_height + 2 * shape.padding_height) * padded_width;
  const bool padded = padded_size != in_size;
  const Team team(shape.planes, planes_grain(in_size));
  const Buffer<T> buffer = padded ? Buffer<T>(team.workers() * padded_size) : Buffer<T>();
  const ReduceRow<T, Output> reduce = choose_row<T, Output>(shape, out_width);
  team.run([&](Index begin, Index end, int worker) {
    T* scratch = buffer.data() + worker * padded_size;
    if (padded) std::fill_n(scratch, padded_size, Output::padding);
    for (Index plane = begin; plane < end; ++plane) {
      const T* from = x + plane * in_size;
      if (padded) {
        for (Index i = 0; i < shape.in_height; ++i)
          std::copy_n(from + i * shape.in_width, shape.in_width,
                      scratch + (i + shape.padding_height) * padded_width + shape.padding_width);
        from = scratch;
      }
      for (Index i = 0; i < out_height; ++i) {
        const Index row = i * shape.stride_height;
        const WindowRow windows = {padded_width,   shape.kernel_height,        shape.kernel_width,  shape.stride_width,
                                   shape.in_width, row - shape.padding_height, -shape.padding_width};
        reduce(windows, out_width, from + row * padded_width, output_at(plane * out_height + i));
      }
    }
  });
}

}  // namespace

template <typename T> void max_pool2d(const PoolShape& shape, const T* x, T* y, std::int32_t* indices) {
  if (shape.planes == 0) return;
  const Index width = shape.out_width();
  if (const MaxTiles<T> tiles = choose_max_tiles<T>(shape)) {
    const Index large = shape.in_height * shape.in_width, small = shape.out_height() * width;
    parallel_for(shape.planes, planes_grain(large), [&](Index begin, Index end) {
      for (Index plane = begin; plane < end; ++plane)
        tiles.at(plane, end)(shape, x + plane * large, y + plane * small, indices + plane * small);
    });
    return;
  }
  reduce_windows<T, Maximum<T>>(shape, x,
                                [=](Index row) { return Maximum<T>{y + row * width, indices + row * width}; });
}

template <typename T> void max_pool2d_grad(const PoolPlanes& size, const T* dy, const std::int32_t* indices, T* dx) {
  const Index large = size.in_height * size.in_width, small = size.out_height * size.out_width;
  const ScatterTiles<T> tiles = choose_tiles<T>(size);
  parallel_for(size.planes, planes_grain(large), [&](Index begin, Index end) {
    for (Index plane = begin; plane < end; ++plane) {
      const T* from = dy + plane * small;
      const std::int32_t* places = indices + plane * small;
      if (!tiles || !tiles.at(plane, end)(size, from, places, dx + plane * large))
        scatter_plane(large, small, from, places, dx + plane * large);
    }
  });
}

template <typename T>
void max_pool2d_gather(Index planes, Index large, Index small, const T* x, const std::int32_t* indices, T* y) {
  parallel_for(planes, planes_grain(small), [&](Index begin, Index end) {
    for (Index plane = begin; plane < end; ++plane) {
      const T* from = x + plane * large;
      for (Index i = plane * small; i < (plane + 1) * small; ++i) {
        const Index index = index_within(large, indices + i);
        y[i] = index >= 0 ? from[index] : T{0};
      }
    }
  });
}

template <typename T> void avg_pool2d(const PoolShape& shape, const T* x, T* y) {
  if (shape.planes == 0) return;
  const Index width = shape.out_width();
  const T area = static_cast<T>(shape.kernel_height * shape.kernel_width);
  reduce_windows<T, Average<T>>(shape, x, [=](Index row) { return Average<T>{y + row * width, area}; });
}

namespace {

// Windows side by side, as many as y has elements: all elements of one get its share.
template <int step, typename T>
void spread_tiles(Index n, Index stride, T area, const T* __restrict y, T* __restrict x) {
  const Index s = step ? step : stride;
  for (Index j = 0; j < n; ++j) {
    const T share = y[j] / area;
    for (Index c = 0; c < s; ++c) x[j * s + c] = share;
  }
}

// x[j stride + c] += y[j] / area for c < width
template <int step, typename T>
void spread_row(Index n, Index stride, Index width, T area, const T* __restrict y, T* __restrict x) {
  const Index s = step ? step : stride;
  for (Index c = 0; c < width; ++c)
    for (Index j = 0; j < n; ++j) x[j * s + c] += y[j] / area;
}

// Every element of dx lies in one window or in none.
template <typename T> void spread_plane_of_tiles(const PoolShape& shape, const T* dy, T* dx) {
  const Index n = shape.out_width(), height = shape.kernel_height, width = shape.in_width;
  const T area = static_cast<T>(height * shape.kernel_width);
  for (Index i = 0; i < shape.out_height(); ++i) {
    T* first = dx + i * height * width;
    if (shape.stride_width == 2) spread_tiles<2>(n, 2, area, dy + i * n, first);
    else spread_tiles<0>(n, shape.stride_width, area, dy + i * n, first);
    std::fill(first + n * shape.stride_width, first + width, T{0});
    for (Index r = 1; r < height; ++r) std::copy_n(first, width, first + r * width);
  }
  const Index covered = shape.out_height() * height;
  std::fill_n(dx + covered * width, (shape.in_height - covered) * width, T{0});
}

// `shares`: what one row of dy gives to each column of each row under it, padding included. `rows` of `n` windows of
// `area` elements; `shape` is without surplus.
template <typename T>
void spread_plane(const PoolShape& shape, Index rows, Index n, T area, const T* dy, T* dx, T* shares) {
  const Index width = shape.in_width, stride = shape.stride_width;
  std::fill_n(dx, shape.in_height * width, T{0});
  for (Index i = 0; i < rows; ++i) {
    std::fill_n(shares, width + 2 * shape.padding_width, T{0});
    if (stride == 1) spread_row<1>(n, 1, shape.kernel_width, area, dy + i * n, shares);
    else if (stride == 2) spread_row<2>(n, 2, shape.kernel_width, area, dy + i * n, shares);
    else spread_row<0>(n, stride, shape.kernel_width, area, dy + i * n, shares);
    const Index first = i * shape.stride_height - shape.padding_height;
    const Index end = std::min(shape.in_height, first + shape.kernel_height);
    for (Index row = std::max<Index>(0, first); row < end; ++row)
      for (Index j = 0; j < width; ++j) dx[row * width + j] += shares[shape.padding_width + j];
  }
}

}  // namespace

template <typename T> void avg_pool2d_grad(const PoolShape& given, const T* dy, T* dx) {
  if (given.planes == 0) return;
  const Index rows = given.out_height(), columns = given.out_width(), out_size = rows * columns;
  const T area = static_cast<T>(given.kernel_height * given.kernel_width);
  const PoolShape shape = without_surplus(given);
  const Index in_size = shape.in_height * shape.in_width, padded_width = shape.in_width + 2 * shape.padding_width;
  const bool tiles = shape.stride_height == shape.kernel_height && shape.stride_width == shape.kernel_width &&
                     shape.padding_height == 0 && shape.padding_width == 0;
  const Team team(shape.planes, planes_grain(in_size));
  const Buffer<T> buffer = tiles ? Buffer<T>() : Buffer<T>(team.workers() * padded_width);
  team.run([&](Index begin, Index end, int worker) {
    for (Index plane = begin; plane < end; ++plane) {
      const T* from = dy + plane * out_size;
      T* to = dx + plane * in_size;
      if (tiles) spread_plane_of_tiles(shape, from, to);
      else spread_plane(shape, rows, columns, area, from, to, buffer.data() + worker * padded_width);
    }
  });
}

DLCORE_POOL_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
