// Products of one row with a matrix: bound by memory, so the matrix is read once, in order, and not packed.
#pragma once

#include <algorithm>

#include "../parallel.h"
#include "../types.h"
#include "../vec.h"
#include "pack.h"

namespace dlcore::DLCORE_DEVICE {

// Calls finish(first, count, sums) with sums[j] = sum_p x[p] B[p][first + j] for pieces of B's n columns; B is (k, n).
// Each sum is one chain in the order of p.
template <typename T, typename Finish>
void row_times_matrix(Index n, Index k, const T* x, const T* b, const Finish& finish) {
  constexpr Index piece = 512, together = 8;  // sums in the L1 cache; rows of B added to them at a time
  constexpr Index step = piece / 2;           // of a thread: shorter runs of B's rows take longer to read
  const Index grain = std::max<Index>(1, 150'000 / (step * std::max<Index>(k, 1)));
  parallel_for(ceil_div(n, step), grain, [&](Index begin, Index end) {
    alignas(64) T sums[piece];
    const Index stop = std::min(n, end * step);
    for (Index first = begin * step; first < stop; first += piece) {
      const Index count = std::min(piece, stop - first);
      std::fill_n(sums, round_up(count, lanes<T>), T(0));
      Index p = 0;
      for (; p + together <= k; p += together) {
        const T* row = b + p * n + first;
        Index j = 0;
        for (; j + lanes<T> <= count; j += lanes<T>) {
          Vec<T> sum = load(sums + j);
#pragma GCC unroll 8
          for (Index q = 0; q < together; ++q) sum += splat(x[p + q]) * load(row + q * n + j);
          store(sums + j, sum);
        }
        for (; j < count; ++j)
          for (Index q = 0; q < together; ++q) sums[j] += x[p + q] * row[q * n + j];
      }
      for (; p < k; ++p)
        for (Index j = 0; j < count; ++j) sums[j] += x[p] * b[p * n + first + j];
      finish(first, count, sums);
    }
  });
}

// The same for B transposed, (n, k): sums of products along its rows, in chains by lane. As many rows at a time as
// there are lanes: a transpose then adds up the lanes of all of them.
template <typename T, typename Finish>
void row_times_rows(Index n, Index k, const T* x, const T* b, const Finish& finish) {
  constexpr Index piece = 64, together = lanes<T>, chains = lanes<T> < 8 ? 2 : 1;
  constexpr Index step = chains * lanes<T>;
  const Index grain = std::max<Index>(1, 200'000 / (piece * std::max<Index>(k, 1)));
  T is_fresh[lanes<T>];
  for (int lane = 0; lane < lanes<T>; ++lane) is_fresh[lane] = lane >= lanes<T> - k % lanes<T>;
  const auto fresh = load(is_fresh) != Vec<T>{};
  parallel_for(ceil_div(n, piece), grain, [&](Index begin, Index end) {
    alignas(64) T sums[piece];
    for (Index i = begin; i < end; ++i) {
      const Index first = i * piece, count = std::min(piece, n - first);
      std::fill_n(sums, round_up(count, lanes<T>), T(0));
      for (Index j = 0; j < count; j += together) {
        // The last rows of a piece may be computed twice rather than fewer at a time.
        const Index row = std::max<Index>(0, std::min(j, count - together));
        const T* from[together];
        for (Index q = 0; q < together; ++q) from[q] = b + (first + std::min(row + q, count - 1)) * k;
        if (k < lanes<T>) {
          for (Index q = 0; q < together; ++q) {
            T sum = 0;
            for (Index p = 0; p < k; ++p) sum += x[p] * from[q][p];
            sums[row + q] = sum;
          }
          continue;
        }
        Vec<T> sum[together][chains] = {};
        Index p = 0;
        for (; p + step <= k; p += step)
#pragma GCC unroll 2
          for (Index chain = 0; chain < chains; ++chain) {
            const Vec<T> element = load(x + p + chain * lanes<T>);
#pragma GCC unroll 16
            for (Index q = 0; q < together; ++q) sum[q][chain] += element * load(from[q] + p + chain * lanes<T>);
          }
        for (; p + lanes<T> <= k; p += lanes<T>)
          for (Index q = 0; q < together; ++q) sum[q][0] += load(x + p) * load(from[q] + p);
        if (p < k)  // the last vector, without the lanes that were added before
          for (Index q = 0; q < together; ++q)
            sum[q][0] +=
                (fresh ? load(x + k - lanes<T>) : Vec<T>{}) * (fresh ? load(from[q] + k - lanes<T>) : Vec<T>{});
        Vec<T> lane_sums[together];
#pragma GCC unroll 16
        for (Index q = 0; q < together; ++q) lane_sums[q] = sum[q][0] + (chains > 1 ? sum[q][chains - 1] : Vec<T>{});
        transpose_square<T>(lane_sums);
#pragma GCC unroll 4
        for (Index half = together / 2; half > 0; half /= 2)
#pragma GCC unroll 16
          for (Index q = 0; q < half; ++q) lane_sums[q] += lane_sums[q + half];
        store(sums + row, lane_sums[0]);
      }
      finish(first, count, sums);
    }
  });
}

}  // namespace dlcore::DLCORE_DEVICE
