#include "../csrc/pool.h"

#include "../csrc/instances/pool.h"
#include "map.cuh"
#include "team.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

// One axis of a pooling: windows `step` apart from `-padding` on. Along an axis whose padding is at least the image
// every window covers the whole image, the padding being at most half the window: as good as windows of the image.
struct Axis {
  Index size, kernel, step, padding;

  __device__ Index begin(Index window) const {
    const Index first = window * step - padding;
    return first > 0 ? first : 0;
  }
  __device__ Index end(Index window) const {
    const Index last = window * step - padding + kernel;
    return last < size ? last : size;
  }
  // The windows that hold element i, of `windows`.
  __device__ Index first_window(Index i) const {
    if (step == 0) return 0;
    const Index reach = i + padding - kernel;
    return reach < 0 ? 0 : reach / step + 1;
  }
  __device__ Index end_window(Index i, Index windows) const {
    if (step == 0) return windows;
    const Index end = (i + padding) / step + 1;
    return end < windows ? end : windows;
  }
};
Axis axis_without_surplus(Index size, Index kernel, Index stride, Index padding) {
  return padding < size ? Axis{size, kernel, stride, padding} : Axis{size, size, 0, 0};
}
struct Pooling {
  Axis y, x;
  Index rows, columns;  // of the output
};
Pooling pooling_of(const PoolShape& s) {
  return {axis_without_surplus(s.in_height, s.kernel_height, s.stride_height, s.padding_height),
          axis_without_surplus(s.in_width, s.kernel_width, s.stride_width, s.padding_width), s.out_height(),
          s.out_width()};
}

template <typename T> __global__ void max_pool_kernel(Pooling p, Index n, const T* x, T* y, std::int32_t* indices) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    const Index window_y = i / p.columns % p.rows, window_x = i % p.columns;
    const T* plane = x + i / p.columns / p.rows * p.y.size * p.x.size;
    T best = 0;
    Index place = -1;
    for (Index r = p.y.begin(window_y); r < p.y.end(window_y); ++r)
      for (Index c = p.x.begin(window_x); c < p.x.end(window_x); ++c) {
        const T v = plane[r * p.x.size + c];
        if (place >= 0 && !(v > best || (v != v && best == best))) continue;
        best = v;
        place = r * p.x.size + c;
      }
    y[i] = best;
    indices[i] = static_cast<std::int32_t>(place);
  }
}

// A warp has a plane, and takes the indices by 32. Where some of them are one place, the lower lane adds first: each
// place gets its terms in ascending order.
template <typename T>
__global__ void max_pool_grad_kernel(Index planes, Index large, Index small, const T* dy, const std::int32_t* indices,
                                     T* dx) {
  using Row = RowTeam<warp_size>;
  const int lane = Row::rank();
  for (Index plane = Row::first_row(); plane < planes; plane += Row::row_step()) {
    T* to = dx + plane * large;
    for (Index j = lane; j < large; j += warp_size) to[j] = 0;
    __syncwarp();
    for (Index first = plane * small; first < (plane + 1) * small; first += warp_size) {
      const Index i = first + lane;
      const int place = i < (plane + 1) * small ? indices[i] : -1;
      const bool valid = place >= 0 && place < large;
      const unsigned before = __match_any_sync(full_warp, place) & ((1U << lane) - 1);
      const T value = valid ? dy[i] : T(0);
      for (int turn = 0; __any_sync(full_warp, valid && __popc(before) >= turn); ++turn) {
        if (valid && __popc(before) == turn) to[place] += value;
        __syncwarp();
      }
    }
  }
}

template <typename T>
__global__ void max_pool_gather_kernel(Index n, Index large, Index small, const T* x, const std::int32_t* indices,
                                       T* y) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    const Index place = indices[i];
    y[i] = place >= 0 && place < large ? x[i / small * large + place] : T(0);
  }
}

template <typename T> __global__ void avg_pool_kernel(Pooling p, Index n, T area, const T* x, T* y) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    const Index window_y = i / p.columns % p.rows, window_x = i % p.columns;
    const T* plane = x + i / p.columns / p.rows * p.y.size * p.x.size;
    T sum = 0;
    for (Index r = p.y.begin(window_y); r < p.y.end(window_y); ++r)
      for (Index c = p.x.begin(window_x); c < p.x.end(window_x); ++c) sum += plane[r * p.x.size + c];
    y[i] = sum / area;
  }
}

template <typename T> __global__ void avg_pool_grad_kernel(Pooling p, Index n, T area, const T* dy, T* dx) {
  for (Index i = global_thread(); i < n; i += global_threads()) {
    const Index row = i / p.x.size % p.y.size, column = i % p.x.size;
    const T* plane = dy + i / p.x.size / p.y.size * p.rows * p.columns;
    T sum = 0;
    for (Index r = p.y.first_window(row); r < p.y.end_window(row, p.rows); ++r)
      for (Index c = p.x.first_window(column); c < p.x.end_window(column, p.columns); ++c)
        sum += plane[r * p.columns + c] / area;
    dx[i] = sum;
  }
}

}  // namespace

template <typename T> void max_pool2d(const PoolShape& shape, const T* x, T* y, std::int32_t* indices) {
  const Pooling p = pooling_of(shape);
  const Index n = shape.planes * p.rows * p.columns;
  launch("max_pool2d", max_pool_kernel<T>, grid_over(n), p, n, x, y, indices);
}

template <typename T> void max_pool2d_grad(const PoolPlanes& size, const T* dy, const std::int32_t* indices, T* dx) {
  const Index large = size.in_height * size.in_width, small = size.out_height * size.out_width;
  if (large == 0) return;
  launch("max_pool2d_grad", max_pool_grad_kernel<T>, grid_of_teams(size.planes, warp_size), size.planes, large, small,
         dy, indices, dx);
}

template <typename T>
void max_pool2d_gather(Index planes, Index large, Index small, const T* x, const std::int32_t* indices, T* y) {
  const Index n = planes * small;
  launch("max_pool2d_gather", max_pool_gather_kernel<T>, grid_over(n), n, large, small, x, indices, y);
}

template <typename T> void avg_pool2d(const PoolShape& shape, const T* x, T* y) {
  const Pooling p = pooling_of(shape);
  const Index n = shape.planes * p.rows * p.columns;
  const T area = static_cast<T>(shape.kernel_height * shape.kernel_width);
  launch("avg_pool2d", avg_pool_kernel<T>, grid_over(n), p, n, area, x, y);
}

template <typename T> void avg_pool2d_grad(const PoolShape& shape, const T* dy, T* dx) {
  const Pooling p = pooling_of(shape);
  const Index n = shape.planes * shape.in_height * shape.in_width;
  const T area = static_cast<T>(shape.kernel_height * shape.kernel_width);
  launch("avg_pool2d_grad", avg_pool_grad_kernel<T>, grid_over(n), p, n, area, dy, dx);
}

DLCORE_POOL_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
