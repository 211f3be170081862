// float32 products on tensor cores. A number of 24 bits is the exact sum of three bfloat16 of 8 bits, x = x1 + x2 + x3,
// and x y is x1 y1 + (x1 y2 + x2 y1) + (x1 y3 + x2 y2 + x3 y1) up to terms below 2^-24 of it. Tensor cores do not round
// their sums to nearest, so what they add is sixteen terms at a time, and those sums are added in float32 (Ootomo and
// Yokota 2022). Where an operand's numbers have 8 bits, as binary ones, three products are left, or one.
//
// Chosen at run time by DLCORE_CUDA_GEMM=split; not measured on a GPU yet, so the default is the kernel of gemm.cuh.
// That one also takes over where an operand has a number that is not finite or not 0 and outside [2^-60, 2^62): the
// device decides, nothing waits.
#pragma once

#include "gemm.cuh"
#include "map.cuh"
#include "mma.cuh"

namespace dlcore::DLCORE_DEVICE {
namespace {

constexpr int split_tile = 64, split_depth = 16, split_threads = 128;
enum SplitFlag { beyond_range = 1, has_low_parts = 2 };

// The three parts of an operand, [part][row][depth], padded with zeros to whole tiles.
struct SplitOperand {
  const std::uint16_t* data;
  Index rows, depth;  // padded
  const int* flags;
};

// Element (row, p) of x stands at row * row_stride + p * depth_stride, of which one is 1. By tiles in shared memory:
// x is read along its rows, and the parts are written along theirs.
constexpr int cut_tile = 32, cut_lines = 8;
__global__ void __launch_bounds__(cut_tile* cut_lines)
    split_kernel(const float* x, Index rows, Index depth, Index row_stride, Index depth_stride, Index padded_rows,
                 Index padded_depth, std::uint16_t* parts, int* flags) {
  DLCORE_SHARED(held, float[cut_tile][cut_tile + 1]);  // [row][p]
  const Index across = (padded_depth + cut_tile - 1) / cut_tile, size = padded_rows * padded_depth;
  const Index first_row = blockIdx.x / across * cut_tile, first_p = blockIdx.x % across * cut_tile;
  const int x_thread = static_cast<int>(threadIdx.x), y_thread = static_cast<int>(threadIdx.y);
  for (int line = y_thread; line < cut_tile; line += cut_lines) {
    const int r = depth_stride == 1 ? line : x_thread, d = depth_stride == 1 ? x_thread : line;
    const Index row = first_row + r, p = first_p + d;
    held[r][d] = row < rows && p < depth ? x[row * row_stride + p * depth_stride] : 0.0F;
  }
  __syncthreads();
  int found = 0;
  for (int line = y_thread; line < cut_tile; line += cut_lines) {
    const Index row = first_row + line, p = first_p + x_thread;
    if (row >= padded_rows || p >= padded_depth) continue;
    float rest = held[line][x_thread];
    const float magnitude = std::fabs(rest);
    if (rest != 0.0F && !(magnitude >= 0x1p-60F && magnitude < 0x1p62F)) found |= beyond_range;
    for (int part = 0; part < 3; ++part) {  // cut off, not rounded: the rest is exact
      const unsigned bits = __float_as_uint(rest) >> 16;
      parts[part * size + row * padded_depth + p] = static_cast<std::uint16_t>(bits);
      rest -= __uint_as_float(bits << 16);
      if (part == 0 && rest != 0.0F) found |= has_low_parts;
    }
  }
  if (found) atomicOr(flags, found);
}

template <typename Finish>
__global__ void __launch_bounds__(split_threads)
    gemm_split_kernel(const SplitOperand a, const SplitOperand b, const Finish finish, Index m, Index n) {
  constexpr int pitch = 24, tile_parts = 3 * split_tile * pitch, v = 4, stride = split_tile + v;  // 48 bytes: all banks
  DLCORE_SHARED(memory, Pack<float>[2 * 2 * tile_parts / 8]);
  if (((*a.flags | *b.flags) & beyond_range) != 0) return;
  const int parts_a = (*a.flags & has_low_parts) != 0 ? 3 : 1, parts_b = (*b.flags & has_low_parts) != 0 ? 3 : 1;
  auto* const tiles = reinterpret_cast<std::uint16_t*>(memory[0].item);
  const Index tiles_n = b.rows / split_tile;
  const Index row0 = blockIdx.x / tiles_n * split_tile, column0 = blockIdx.x % tiles_n * split_tile;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32, g = lane / 4, t = lane % 4;

  const auto load = [&](Index p, int stage) {
    for (int i = thread; i < 2 * 3 * split_tile * 2; i += split_threads) {
      const int half = i % 2, row = i / 2 % split_tile, part = i / 2 / split_tile % 3, which = i / 2 / split_tile / 3;
      if (part >= (which == 0 ? parts_a : parts_b)) continue;
      const std::uint16_t* const from = which == 0 ? a.data : b.data;
      const Index rows = which == 0 ? a.rows : b.rows, first = which == 0 ? row0 : column0;
      copy_async<16>(tiles + (2 * stage + which) * tile_parts + (part * split_tile + row) * pitch + half * 8,
                     from + (part * rows + first + row) * a.depth + p + half * 8);
    }
    commit_async();
  };
  float sum[2][4][4] = {};
  if (a.depth > 0) load(0, 0);
  int stage = 0;
  for (Index p = 0; p < a.depth; p += split_depth, stage ^= 1) {
    wait_async<0>();
    __syncthreads();
    if (p + split_depth < a.depth) load(p + split_depth, stage ^ 1);
    const std::uint16_t* const tile_a = tiles + 2 * stage * tile_parts + (warp % 2 * 32 + g) * pitch + 2 * t;
    const std::uint16_t* const tile_b = tiles + (2 * stage + 1) * tile_parts + (warp / 2 * 32 + g) * pitch + 2 * t;
    const auto pair = [](const std::uint16_t* at) { return *reinterpret_cast<const unsigned*>(at); };
    unsigned x[2][3][4] = {}, y[4][3][2] = {};
#pragma unroll
    for (int part = 0; part < 3; ++part) {
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int r = 0; r < 4; ++r)
          if (part < parts_a)
            x[i][part][r] = pair(tile_a + (part * split_tile + i * 16 + r % 2 * 8) * pitch + r / 2 * 8);
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int r = 0; r < 2; ++r)
          if (part < parts_b) y[j][part][r] = pair(tile_b + (part * split_tile + j * 8) * pitch + r * 8);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        float d[4] = {};  // small terms first
        if (parts_a > 1) multiply_fragments(d, x[i][2], y[j][0]);
        if (parts_a > 1 && parts_b > 1) multiply_fragments(d, x[i][1], y[j][1]);
        if (parts_b > 1) multiply_fragments(d, x[i][0], y[j][2]);
        if (parts_a > 1) multiply_fragments(d, x[i][1], y[j][0]);
        if (parts_b > 1) multiply_fragments(d, x[i][0], y[j][1]);
        multiply_fragments(d, x[i][0], y[j][0]);
#pragma unroll
        for (int r = 0; r < 4; ++r) sum[i][j][r] += d[r];
      }
  }

  __syncthreads();
  float* const staged = memory[0].item;
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int r = 0; r < 4; ++r)
        staged[(warp % 2 * 32 + i * 16 + g + r / 2 * 8) * stride + warp / 2 * 32 + j * 8 + 2 * t + r % 2] =
            sum[i][j][r];
  __syncthreads();
#pragma unroll 1
  for (int at = thread; at < split_tile * split_tile / v; at += split_threads) {
    const int row = at / (split_tile / v), column = at % (split_tile / v) * v;
    if (row0 + row >= m || column0 + column >= n) continue;
    const Pack<float> pack = *reinterpret_cast<const Pack<float>*>(staged + row * stride + column);
    const Index left = n - column0 - column;
    finish(0, row0 + row, column0 + column, pack.item, left < v ? static_cast<int>(left) : v);
  }
}

// Parts and flags of an operand of `rows` rows and `depth` columns.
struct SplitBuffers {
  Index rows, depth;
  Buffer<std::uint16_t> parts;
  int* flags;

  SplitBuffers(const float* x, Index rows_, Index depth_, Index row_stride, Index depth_stride, int* flags_)
      : rows(round_up(rows_, split_tile)),
        depth(round_up(depth_, split_depth)),
        parts(3 * rows * depth),
        flags(flags_) {
    const Index tiles = ceil_div(rows, cut_tile) * ceil_div(depth, cut_tile);
    launch("matmul: split", split_kernel, Grid{dim3(static_cast<unsigned>(tiles)), dim3(cut_tile, cut_lines)}, x, rows_,
           depth_, row_stride, depth_stride, rows, depth, parts.data(), flags);
  }
  SplitOperand operand() const { return {parts.data(), rows, depth, flags}; }
};

}  // namespace

// finish of each element of op(A) op(B); fallback(flags) launches the kernel of gemm.cuh, which does its work only
// where one of the two flags says that this one did not.
template <typename Finish, typename Fallback>
void gemm_split(bool transpose_a, bool transpose_b, Index m, Index n, Index k, const float* a, const float* b,
                const Finish& finish, const Fallback& fallback) {
  const Buffer<int> flags(2);
  map("matmul: flags", 2, flags.data(), Zero<int>{});  // not a copy from the host's stack, which could not be captured
  const SplitBuffers left(a, m, k, transpose_a ? 1 : k, transpose_a ? m : 1, flags.data());
  const SplitBuffers right(b, n, k, transpose_b ? k : 1, transpose_b ? 1 : n, flags.data() + 1);
  const Index blocks = left.rows / split_tile * (right.rows / split_tile);
  launch("matmul: tensor cores", gemm_split_kernel<Finish>, Grid{dim3(static_cast<unsigned>(blocks)), split_threads},
         left.operand(), right.operand(), finish, m, n);
  fallback(flags.data());
}

}  // namespace dlcore::DLCORE_DEVICE
