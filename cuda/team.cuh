// A team of threads for each row: a warp for short rows, a block for long ones. Its sums have a fixed order: that of
// the threads' own terms, then pairs of threads; so results do not depend on the device.
#pragma once

#include "lanes.cuh"

namespace dlcore::DLCORE_DEVICE {

constexpr int team_block = 256;

struct Larger {  // NaN is passed over
  template <typename T> __device__ T operator()(T a, T b) const { return b > a ? b : a; }
};
struct Plus {
  template <typename T> __device__ T operator()(T a, T b) const { return a + b; }
};

// width: warp_size or team_block.
template <int width> struct RowTeam {
  static constexpr int per_block = team_block / width;

  __device__ static int rank() { return static_cast<int>(threadIdx.x) % width; }
  __device__ static Index first_row() {
    return static_cast<Index>(blockIdx.x) * per_block + static_cast<int>(threadIdx.x) / width;
  }
  __device__ static Index row_step() { return static_cast<Index>(gridDim.x) * per_block; }

  // The values of all threads combined, for every thread.
  template <typename T, typename Combine> __device__ static T all(T value, const Combine& combine) {
#pragma unroll
    for (int step = warp_size / 2; step > 0; step /= 2) value = combine(value, __shfl_xor_sync(full_warp, value, step));
    if constexpr (width > warp_size) {
      constexpr int warps = width / warp_size;
      DLCORE_SHARED(parts, T[warps]);
      __syncthreads();  // those of the call before have been read
      if (threadIdx.x % warp_size == 0) parts[threadIdx.x / warp_size] = value;
      __syncthreads();
      value = parts[0];
#pragma unroll
      for (int i = 1; i < warps; ++i) value = combine(value, parts[i]);
    }
    return value;
  }
  template <typename T> __device__ static T sum(T value) { return all(value, Plus{}); }
  template <typename T> __device__ static T largest(T value) { return all(value, Larger{}); }
};

constexpr Index short_row = 256;  // a warp's
inline Grid grid_of_teams(Index rows, int width) {
  return grid_of_blocks(ceil_div(rows, team_block / width), team_block);
}

// Launches `kernel`, a template over the team's width, on rows of `columns`.
#define DLCORE_LAUNCH_ROWS(name, kernel, T, rows, columns, ...)                                                  \
  do {                                                                                                           \
    if ((columns) <= short_row) launch(name, kernel<T, warp_size>, grid_of_teams(rows, warp_size), __VA_ARGS__); \
    else launch(name, kernel<T, team_block>, grid_of_teams(rows, team_block), __VA_ARGS__);                      \
  } while (false)

// Of a row x: its largest element m, and the sum of e^(x - m) without one of the elements that are 1: log1p(rest) keeps
// the small losses of confident predictions. NaN where an x is.
template <typename T> struct Exponentials {
  T m, rest;
};
template <typename T, int width> __device__ Exponentials<T> exponentials_of_row(Index columns, const T* x) {
  using Row = RowTeam<width>;
  T m = -infinity<T>();
  for (Index j = Row::rank(); j < columns; j += width) m = Larger{}(m, x[j]);
  m = Row::largest(m);
  T sum = 0;
  int ones = 0;
  for (Index j = Row::rank(); j < columns; j += width) {
    const T d = x[j] - m;
    if (d == T(0)) ++ones;
    else sum += std::exp(d);
  }
  return {m, Row::sum(sum) + static_cast<T>(Row::sum(ones) - 1)};
}

}  // namespace dlcore::DLCORE_DEVICE
