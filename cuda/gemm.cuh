// The matrix product that every dense kernel here is: C = A B over tiles in shared memory, each thread a block of
// registers, the next tile copied (cp.async) while this one is multiplied. What A and B are (matrices, images seen
// through a kernel) say operands, what becomes of an element of the product says a finish:
//
//   Operand: T element(row, depth) of `rows` x `depth`
//     template <int rows, int depth, int threads> struct Cursor {
//       Cursor(const Operand&, Index group, Index first_row, Index first_depth);
//       void load(Index first_depth, Index end_depth, T* tile); }     tile after tile, starts the copies of its thread
//                                                   into tile[depth][rows + pad], zeros outside the operand
//   Finish: void operator()(Index group, Index row, Index column, const T (&x)[vector_size<T>], int count) const
//                                                   gets neighbours in a row, `column` a multiple of vector_size<T>
//
// A launch computes several such products side by side, the groups of a convolution; a matrix product is one.
//
// The order of additions depends on the shape alone: the depth is cut into splits by shape, and a second pass adds them
// in their order. A chain is one fused multiply-add after the other in T.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "../csrc/memory.h"
#include "../csrc/types.h"
#include "launch.cuh"

namespace dlcore::DLCORE_DEVICE {

// Numbers in 16 bytes, the widest access to memory.
template <typename T> inline constexpr int vector_size = Pack<T>::count;

// M x N elements of C by a block, K deep; each warp has WarpM x WarpN of them, cut into LanesM rows and 32 / LanesM
// columns of threads. `blocks` of them are to fit on a multiprocessor.
template <typename T_, int M, int N, int K, int WarpM, int WarpN, int LanesM, int blocks_> struct TileShape {
  using T = T_;
  static constexpr int m = M, n = N, k = K, warp_m = WarpM, warp_n = WarpN, lanes_m = LanesM, lanes_n = 32 / LanesM;
  static constexpr int blocks = blocks_, threads = M / WarpM * (N / WarpN) * 32;
  static constexpr int rows = WarpM / LanesM, columns = WarpN / lanes_n;  // of a thread
  static constexpr int v = vector_size<T>, row_groups = rows / v, column_groups = columns / v;
  static constexpr int stride_a = M + v, stride_b = N + v, stage = K * (stride_a + stride_b);
  // The finished tile goes through the same memory, some groups of rows at a time.
  static constexpr int passes = 2 * stage >= M * stride_b ? 1 : 2, pass_groups = row_groups / passes;
  static_assert(row_groups * v == rows && column_groups * v == columns && pass_groups * passes == row_groups);
  static_assert(M / passes * stride_b <= 2 * stage);
  // Steps of the depth that are written out. With 16 of 64 sums a thread, nvcc 12.4 moves registers to memory.
#if defined(__CUDACC_VER_MAJOR__) && __CUDACC_VER_MAJOR__ < 13
  static constexpr int in_a_row = rows * columns < 64 ? k : 4;
#else
  static constexpr int in_a_row = k;
#endif
};

// Small tiles where a product is too small for many others; flat ones for few rows, the filters of a convolution.
template <typename T> struct Tiles;
template <> struct Tiles<float> {
  using large = TileShape<float, 128, 128, 16, 32, 64, 4, 2>;
  using medium = TileShape<float, 64, 64, 16, 32, 32, 4, 4>;
  using small = TileShape<float, 32, 32, 32, 16, 32, 4, 6>;
  using flat = TileShape<float, 16, 128, 16, 16, 32, 4, 4>;
};
template <> struct Tiles<double> {
  using large = TileShape<double, 64, 64, 16, 32, 32, 4, 2>;
  using medium = large;
  using small = TileShape<double, 32, 32, 16, 16, 32, 4, 4>;
  using flat = TileShape<double, 16, 64, 16, 16, 32, 4, 4>;
};

// Where the tiles of a product lie: `splits` parts of the depth, each of `chunk`.
struct GemmPlan {
  Index m, n, k, groups;
  Index tiles_m, tiles_n, splits, chunk;
  Index partial_stride;          // of a row of partial sums
  const int* only_beyond_range;  // null, or two flags: the product is made only if one of them has bit 0
  __device__ bool is_left_out() const {
    return only_beyond_range && ((only_beyond_range[0] | only_beyond_range[1]) & 1) == 0;
  }
};

template <typename Shape, typename A, typename B, typename Finish>
__global__ void __launch_bounds__(Shape::threads, Shape::blocks)
    gemm_kernel(const A a, const B b, const Finish finish, const GemmPlan plan, typename Shape::T* partial) {
  using T = typename Shape::T;
  constexpr int v = Shape::v;
  DLCORE_SHARED(packs, Pack<T>[2 * Shape::stage / v]);
  T* const memory = packs[0].item;
  if (plan.is_left_out()) return;

  // Eight rows of tiles at a time, column by column: blocks that run together share tiles of A and B in the L2 cache.
  constexpr unsigned band = 8;
  const unsigned tiles_m = static_cast<unsigned>(plan.tiles_m), tiles_n = static_cast<unsigned>(plan.tiles_n);
  const unsigned tile = blockIdx.x % (tiles_m * tiles_n), product = blockIdx.x / (tiles_m * tiles_n);
  const Index group = product % static_cast<unsigned>(plan.groups),
              split = product / static_cast<unsigned>(plan.groups);
  const unsigned first_band = tile / (band * tiles_n) * band;
  const unsigned high = tiles_m - first_band < band ? tiles_m - first_band : band;
  const unsigned within = tile % (band * tiles_n);
  const Index row0 = static_cast<Index>(first_band + within % high) * Shape::m;
  const Index column0 = static_cast<Index>(within / high) * Shape::n;
  const Index begin = split * plan.chunk, end = begin + plan.chunk < plan.k ? begin + plan.chunk : plan.k;

  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int warp_row = warp % (Shape::m / Shape::warp_m), warp_column = warp / (Shape::m / Shape::warp_m);
  const int lane_row = lane / Shape::lanes_n, lane_column = lane % Shape::lanes_n;

  T sum[Shape::rows][Shape::columns];
#pragma unroll
  for (int i = 0; i < Shape::rows; ++i)
#pragma unroll
    for (int j = 0; j < Shape::columns; ++j) sum[i][j] = T(0);

  typename A::template Cursor<Shape::m, Shape::k, Shape::threads> cursor_a(a, group, row0, begin);
  typename B::template Cursor<Shape::n, Shape::k, Shape::threads> cursor_b(b, group, column0, begin);
  const auto load = [&](Index p, int stage) {
    T* const to = memory + stage * Shape::stage;
    cursor_a.load(p, end, to);
    cursor_b.load(p, end, to + Shape::k * Shape::stride_a);
    commit_async();
  };
  if (begin < end) load(begin, 0);
  int stage = 0;
  for (Index p = begin; p < end; p += Shape::k, stage ^= 1) {
    wait_async<0>();
    __syncthreads();  // this stage is there for all, and nobody reads the other one any more
    if (p + Shape::k < end) load(p + Shape::k, stage ^ 1);
    const T* const tile_a = memory + stage * Shape::stage + warp_row * Shape::warp_m + lane_row * v;
    const T* const tile_b =
        memory + stage * Shape::stage + Shape::k * Shape::stride_a + warp_column * Shape::warp_n + lane_column * v;
#pragma unroll Shape::in_a_row
    for (int d = 0; d < Shape::k; ++d) {
      Pack<T> x[Shape::row_groups], y[Shape::column_groups];
#pragma unroll
      for (int g = 0; g < Shape::row_groups; ++g)
        x[g] = *reinterpret_cast<const Pack<T>*>(tile_a + d * Shape::stride_a + g * Shape::lanes_m * v);
#pragma unroll
      for (int g = 0; g < Shape::column_groups; ++g)
        y[g] = *reinterpret_cast<const Pack<T>*>(tile_b + d * Shape::stride_b + g * Shape::lanes_n * v);
#pragma unroll
      for (int i = 0; i < Shape::rows; ++i)
#pragma unroll
        for (int j = 0; j < Shape::columns; ++j) sum[i][j] += x[i / v].item[i % v] * y[j / v].item[j % v];
    }
  }

  // Through shared memory, so that rows of C are written (and read) whole.
#pragma unroll
  for (int pass = 0; pass < Shape::passes; ++pass) {
    __syncthreads();
#pragma unroll
    for (int g = 0; g < Shape::pass_groups; ++g)
#pragma unroll
      for (int i = 0; i < v; ++i) {
        const int row = ((warp_row * Shape::pass_groups + g) * Shape::lanes_m + lane_row) * v + i;
        T* const to = memory + row * Shape::stride_b + warp_column * Shape::warp_n + lane_column * v;
#pragma unroll
        for (int h = 0; h < Shape::column_groups; ++h) {
          Pack<T> pack;
#pragma unroll
          for (int j = 0; j < v; ++j) pack.item[j] = sum[(pass * Shape::pass_groups + g) * v + i][h * v + j];
          *reinterpret_cast<Pack<T>*>(to + h * Shape::lanes_n * v) = pack;
        }
      }
    __syncthreads();
    constexpr int across = Shape::n / v;
#pragma unroll 1
    for (int at = thread; at < Shape::m / Shape::passes * across; at += Shape::threads) {
      const int staged = at / across, band_of_rows = staged / v / Shape::lanes_m;
      const Index row = row0 + band_of_rows / Shape::pass_groups * Shape::warp_m +
                        ((pass * Shape::pass_groups + band_of_rows % Shape::pass_groups) * Shape::lanes_m +
                         staged / v % Shape::lanes_m) *
                            v +
                        staged % v;
      const Index column = column0 + at % across * v;
      if (row >= plan.m || column >= plan.n) continue;
      const Pack<T> pack = *reinterpret_cast<const Pack<T>*>(memory + staged * Shape::stride_b + at % across * v);
      if (plan.splits > 1)
        *reinterpret_cast<Pack<T>*>(partial + ((split * plan.groups + group) * plan.m + row) * plan.partial_stride +
                                    column) = pack;
      else finish(group, row, column, pack.item, plan.n - column < v ? static_cast<int>(plan.n - column) : v);
    }
  }
}

// Adds the splits in their order.
template <typename T, typename Finish>
__global__ void __launch_bounds__(256) add_splits_kernel(const Finish finish, const GemmPlan plan, const T* partial) {
  constexpr int v = vector_size<T>;
  if (plan.is_left_out()) return;
  const Index across = plan.partial_stride / v, rows = plan.groups * plan.m;
  for (Index i = global_thread(); i < rows * across; i += global_threads()) {
    const Index row = i / across, column = i % across * v;
    Pack<T> sum = *reinterpret_cast<const Pack<T>*>(partial + row * plan.partial_stride + column);
    for (Index split = 1; split < plan.splits; ++split) {
      const Pack<T> next =
          *reinterpret_cast<const Pack<T>*>(partial + (split * rows + row) * plan.partial_stride + column);
#pragma unroll
      for (int j = 0; j < v; ++j) sum.item[j] += next.item[j];
    }
    finish(row / plan.m, row % plan.m, column, sum.item, plan.n - column < v ? static_cast<int>(plan.n - column) : v);
  }
}

// Blocks that fill a GPU of 128 multiprocessors or so twice; a constant, so that the bits are the same on each.
inline constexpr Index gemm_full = 256;

template <typename Shape> GemmPlan plan_gemm(Index m, Index n, Index k, Index groups) {
  GemmPlan plan{m, n, k, groups, ceil_div(m, Shape::m), ceil_div(n, Shape::n), 1, 0, 0, nullptr};
  constexpr Index least = 8 * Shape::k;  // depth of a split
  const Index wanted = gemm_full / (plan.tiles_m * plan.tiles_n * groups), most = k / least;
  plan.splits = std::max<Index>(1, std::min(wanted, most));
  plan.chunk = std::max<Index>(Shape::k, round_up(ceil_div(k, plan.splits), Shape::k));
  plan.splits = std::max<Index>(1, ceil_div(k, plan.chunk));
  plan.partial_stride = round_up(n, Shape::v);
  return plan;
}

template <typename Shape, typename A, typename B, typename Finish>
void launch_gemm(const char* name, Index m, Index n, Index k, const A& a, const B& b, const Finish& finish,
                 Index groups = 1, const int* only_beyond_range = nullptr) {
  using T = typename Shape::T;
  GemmPlan plan = plan_gemm<Shape>(m, n, k, groups);
  plan.only_beyond_range = only_beyond_range;
  const Index blocks = plan.tiles_m * plan.tiles_n * groups * plan.splits;
  const Buffer<T> partial = plan.splits > 1 ? Buffer<T>(plan.splits * groups * m * plan.partial_stride) : Buffer<T>();
  launch(name, gemm_kernel<Shape, A, B, Finish>, Grid{dim3(static_cast<unsigned>(blocks)), Shape::threads}, a, b,
         finish, plan, partial.data());
  if (plan.splits == 1) return;
  launch(name, add_splits_kernel<T, Finish>, grid_over(groups * m * plan.partial_stride / Shape::v), finish, plan,
         partial.data());
}

// DLCORE_CUDA_GEMM, for measurements: "split" (gemm_split.cuh), or the one size of tiles that products take.
inline bool gemm_is(const char* choice) {
  static const char* const setting = std::getenv("DLCORE_CUDA_GEMM");
  return setting && std::strcmp(setting, choice) == 0;
}

// finish of each element of A (m, k) times B (k, n).
template <typename T, typename A, typename B, typename Finish>
void gemm(const char* name, Index m, Index n, Index k, const A& a, const B& b, const Finish& finish, Index groups = 1,
          const int* only_beyond_range = nullptr) {
  if (m == 0 || n == 0 || groups == 0) return;
  using Shapes = Tiles<T>;
  const auto tiles = [=](Index rows, Index columns) { return groups * ceil_div(m, rows) * ceil_div(n, columns); };
  // The largest tiles that leave no multiprocessor idle, with splits of the depth where it is long.
  const Index large = tiles(Shapes::large::m, Shapes::large::n), medium = tiles(Shapes::medium::m, Shapes::medium::n);
  const auto splits = [=](Index depth) { return std::max<Index>(1, k / depth); };
  const bool only_large = gemm_is("large"), only_medium = gemm_is("medium"), only_small = gemm_is("small");
  const bool any = !only_large && !only_medium && !only_small;
  if constexpr (A::flat)
    if (any && m <= Shapes::flat::m)
      return launch_gemm<typename Shapes::flat>(name, m, n, k, a, b, finish, groups, only_beyond_range);
  if (only_large || (any && std::min(m, n) > Shapes::large::m / 2 && large * std::min<Index>(4, splits(256)) >= 96))
    launch_gemm<typename Shapes::large>(name, m, n, k, a, b, finish, groups, only_beyond_range);
  else if (only_medium || (any && std::min(m, n) > Shapes::small::m && medium * std::min<Index>(16, splits(128)) >= 96))
    launch_gemm<typename Shapes::medium>(name, m, n, k, a, b, finish, groups, only_beyond_range);
  else launch_gemm<typename Shapes::small>(name, m, n, k, a, b, finish, groups, only_beyond_range);
}

// A matrix: element (row, p) stands at row * stride + p where the depth is contiguous, else at p * stride + row.
template <typename T, bool depth_contiguous, bool flat_ = false> struct MatrixOperand {
  static constexpr bool flat = flat_;
  const T* data;
  Index stride, rows, group_stride;
  bool aligned;  // 16 bytes at a time, where rows are contiguous

  static MatrixOperand of(const T* data, Index stride, Index rows, Index group_stride = 0) {
    constexpr Index v = vector_size<T>;
    return {data, stride, rows, group_stride,
            is_aligned(data) && stride % v == 0 && rows % v == 0 && group_stride % v == 0};
  }

  // Whole tiles, which most are, are copied without a question: a thread's places there differ by constants and rows'
  // strides, so that next to nothing is computed between the multiplications.
  template <int tile_rows, int tile_depth, int threads> struct Cursor {
    static constexpr int v = vector_size<T>, pitch = tile_rows + v;
    const MatrixOperand& operand;
    const T* from;  // this thread's first element of the next tile
    Index left;     // rows from the tile's first on

    __device__ Cursor(const MatrixOperand& of, Index group, Index first_row, Index begin)
        : operand(of), left(of.rows - first_row) {
      const T* const corner = of.data + group * of.group_stride;
      if constexpr (depth_contiguous) from = corner + (first_row + thread() / 8) * of.stride + begin + thread() % 8;
      else if (of.aligned)
        from = corner + (begin + thread() / across<v>)*of.stride + first_row + thread() % across<v> * v;
      else from = corner + (begin + thread() / across<1>)*of.stride + first_row + thread() % across<1>;
    }

    __device__ void load(Index p, Index end, T* tile) {
      const bool whole = left >= tile_rows && p + tile_depth <= end;
      if constexpr (depth_contiguous) {
        // Eight neighbours along the depth, four rows a warp: whole sectors there, all banks here.
        constexpr int step = threads / 8;
        const int row = thread() / 8, d = thread() % 8;
        T* const to = tile + d * pitch + row;
        if (whole) {
#pragma unroll
          for (int i = 0; i < tile_rows; i += step)
#pragma unroll
            for (int j = 0; j < tile_depth; j += 8)
              copy_async<sizeof(T)>(to + j * pitch + i, from + i * operand.stride + j);
        } else {
#pragma unroll 1
          for (int i = 0; i < tile_rows; i += step)
#pragma unroll 1
            for (int j = 0; j < tile_depth; j += 8) {
              const bool valid = row + i < left && p + d + j < end;
              copy_async<sizeof(T)>(to + j * pitch + i, from + i * operand.stride + j, valid ? sizeof(T) : 0);
            }
        }
        from += tile_depth;
      } else {
        if (operand.aligned) copy_rows<v>(whole, p, end, tile);
        else copy_rows<1>(whole, p, end, tile);
        from += tile_depth * operand.stride;
      }
    }

   private:
    static __device__ int thread() { return static_cast<int>(threadIdx.x); }
    template <int count> static constexpr int across = tile_rows / count < threads ? tile_rows / count : threads;

    // `count` neighbours in a row at a time.
    template <int count> __device__ void copy_rows(bool whole, Index p, Index end, T* tile) const {
      constexpr int beside = across<count>, step = threads / beside, bytes = count * static_cast<int>(sizeof(T));
      const int row = thread() % beside * count, d = thread() / beside;
      T* const to = tile + d * pitch + row;
      if (whole) {
#pragma unroll
        for (int i = 0; i < tile_depth; i += step) {
          if (tile_depth % step && d + i >= tile_depth) break;
#pragma unroll
          for (int j = 0; j < tile_rows; j += beside * count)
            copy_async<bytes>(to + i * pitch + j, from + i * operand.stride + j);
        }
      } else {
#pragma unroll 1
        for (int i = 0; i < tile_depth && d + i < tile_depth; i += step)
#pragma unroll 1
          for (int j = 0; j < tile_rows; j += beside * count) {
            const bool valid = row + j < left && p + d + i < end;
            copy_async<bytes>(to + i * pitch + j, from + i * operand.stride + j, valid ? bytes : 0);
          }
      }
    }
  };
};

}  // namespace dlcore::DLCORE_DEVICE
