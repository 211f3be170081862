// The products of a convolution and of its input gradient: rows of packed weights times the positions of planes.
#pragma once

#include "../parallel.h"
#include "epilogue.h"
#include "plane.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Elements of planes, and of unfinished outputs, that a worker holds at a time: together under a 512 KiB L2 cache.
inline constexpr Index plane_limit = 32768, tile_limit = 32768;
// Depth of one pass, at most: its weights for one row panel stay in the L1 cache.
inline constexpr Index max_tap_block = 512;
// The same where outputs are computed in place: the source of a tile, for all its panels of rows, stays there as well.
inline constexpr Index direct_tap_block = 320;

// Rows of weights (output channels, or input channels of the adjoint) times (channels, taps) of a source.
template <typename T> struct Correlation {
  Index batch, groups, channels, rows;  // per group
  Axis vertical, horizontal;
  const T* source;  // (batch, groups, channels, vertical.source_size, horizontal.source_size)
  T* target;        // (batch, groups, rows, target_height, target_width)
  Index target_height, target_width;
  Epilogue<T> epilogue;  // bias of groups * rows

  Index depth() const { return channels * vertical.taps * horizontal.taps; }
  // Whether the outputs are all of a target plane, as those of a forward pass are.
  bool is_dense() const { return vertical.target_step == 1 && horizontal.target_step == 1; }
  // Where output (i, j) lies in its plane.
  Index target_at(Index i, Index j) const {
    return (vertical.target_origin + i * vertical.target_step) * target_width + horizontal.target_origin +
           j * horizontal.target_step;
  }
};

// `rows` x `vectors` sums in registers: targets[j][i stride] (+)= sum over p of a[p][i] sources[j][offsets[p]].
template <typename T, int rows, int vectors>
__attribute__((noinline, aligned(64))) void correlate_tile(Index depth, const T* a, const Index* offsets,
                                                           const T* const* sources, T* const* targets, Index stride,
                                                           const TileEnd<T>& end) {
  Vec<T> sum[rows][vectors] = {};
  const T* source[vectors];
  for (int j = 0; j < vectors; ++j) source[j] = sources[j];
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) __builtin_prefetch(targets[0] + i * stride, 1);
#pragma GCC unroll 2
  for (Index p = 0; p < depth; ++p) {
    const Index at = offsets[p];
    Vec<T> column[vectors];
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) column[j] = load(source[j] + at);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
      const Vec<T> element = splat(a[i]);
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) sum[i][j] += element * column[j];
    }
    a += MR<T>;
  }
  T* target[vectors];
  for (int j = 0; j < vectors; ++j) target[j] = targets[j];
  if (end.add) {  // to all before any is stored: targets may overlap
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) sum[i][j] += load(target[j] + i * stride);
  }
  if (const T* bias = end.bias) {
    const Vec<T> floor = splat(end.floor);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) {
        const Vec<T> value = sum[i][j] + bias[i];
        store(target[j] + i * stride, value < floor ? floor : value);
      }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) store(target[j] + i * stride, sum[i][j]);
  }
}

template <typename T>
using CorrelateTile = void (*)(Index, const T*, const Index*, const T* const*, T* const*, Index, const TileEnd<T>&);

template <typename T, int vectors, int rows> CorrelateTile<T> choose_tile(Index wanted) {
  if (wanted == rows) return correlate_tile<T, rows, vectors>;
  if constexpr (rows > 1) return choose_tile<T, vectors, rows - 1>(wanted);
  return nullptr;
}

template <typename T> class Correlator {
 public:
  Correlator(const Correlation<T>& correlation, const PackedWeights<T>& weights)
      : c_(correlation),
        weights_(weights),
        // A vector moved back would be added to twice.
        layout_(make_layout<T>(c_.vertical, c_.horizontal, c_.channels, limit(), c_.depth() <= max_tap_block)),
        direct_(runs_along_rows()),
        strips_(ceil_div(c_.vertical.outputs, layout_.rows)),
        tile_vectors_(2 * weights_.rows(0) <= MR<T> ? 4 : 2),
        sum_stride_((layout_.vectors(layout_.rows, c_.horizontal.outputs) + 1) * lanes<T> | lanes<T>),
        offsets_(c_.depth()),
        epilogue_(c_.epilogue, c_.groups, weights_) {
    tap_offsets(layout_, c_.vertical, c_.horizontal, offsets_.data());
    for (int i = 0; i < 2; ++i) {
      const Index rows = weights_.rows(i == 0 ? 0 : weights_.panels - 1);
      tile_[i] = tile_vectors_ == 4 ? choose_tile<T, 4, MR<T> / 2>(rows) : choose_tile<T, 2, MR<T>>(rows);
    }
  }

  void run() const {
    const Index items = c_.batch * c_.groups * strips_;
    const Index work = c_.rows * c_.depth() * layout_.rows * c_.horizontal.outputs;
    const Index grain = std::max<Index>(1, multiply_grain / std::max<Index>(1, work));
    const Index planes = prepared_size(layout_, c_.vertical, c_.horizontal);
    const Index sums = direct_ ? 0 : c_.rows * sum_stride_;
    const Team team(items, grain, work);
    const Buffer<T> space(team.workers() * round_up(planes + sums, 64));
    team.run([&](Index begin, Index end, int worker) {
      T* mine = space.data() + worker * round_up(planes + sums, 64);
      for (Index item = begin; item < end; ++item) {
        const Index image = item / strips_, group = image % c_.groups, first = item % strips_ * layout_.rows;
        const Index rows = std::min(layout_.rows, c_.vertical.outputs - first);
        if (direct_) compute_rows(image, group, first, rows, mine);
        else compute_strip(image, group, first, rows, mine, mine + planes);
      }
    });
  }

 private:
  // Of the planes, so that the sums of their outputs stay within tile_limit as well.
  Index limit() const {
    const Index row_sums = c_.rows * (c_.horizontal.length() + lanes<T>);
    const Index planes = c_.channels * c_.vertical.planes * c_.horizontal.planes * c_.horizontal.length();
    const Index rows = std::max<Index>(1, tile_limit / row_sums);
    return std::min(plane_limit, (rows + c_.vertical.max_shift) * planes);
  }

  // Whether whole rows of vectors, the last moved back, are no more than those that run on from row to row: then sums
  // are final in the registers, and are stored where the outputs lie.
  bool runs_along_rows() const {
    return c_.horizontal.target_step == 1 && c_.vertical.target_step == 1 && c_.horizontal.outputs >= lanes<T> &&
           10 * layout_.rows * layout_.row_vectors <= 11 * layout_.vectors(layout_.rows, c_.horizontal.outputs);
  }

  void compute_rows(Index image, Index group, Index first, Index rows, T* space) const {
    const Index plane = c_.vertical.source_size * c_.horizontal.source_size, columns = c_.horizontal.outputs;
    const T* planes = prepare_planes(layout_, c_.vertical, c_.horizontal, c_.source + image * c_.channels * plane,
                                     first, rows, space);
    const Index size = c_.target_height * c_.target_width;
    T* outputs = c_.target + image * c_.rows * size + (c_.vertical.target_origin + first) * c_.target_width +
                 c_.horizontal.target_origin;
    const Index depth = c_.depth(), passes = std::max<Index>(1, ceil_div(depth, direct_tap_block));
    const Index block = std::max<Index>(1, ceil_div(depth, passes));
    Index row = 0, column = 0;
    while (row < rows) {
      const T* sources[4];
      T* targets[4];
      for (Index j = 0; j < tile_vectors_; ++j) {
        const bool spare = row == rows;  // the last vector again
        sources[j] = spare ? sources[j - 1] : planes + row * layout_.width + column;
        targets[j] = spare ? targets[j - 1] : outputs + row * c_.target_width + column;
        if (spare) continue;
        if (column + lanes<T> >= columns) {
          column = 0;
          ++row;
        } else {
          column = std::min(column + lanes<T>, columns - lanes<T>);
        }
      }
      for (Index p = 0; p == 0 || p < depth; p += block)
        for (Index i = 0; i < weights_.panels; ++i) {
          T* to[4];
          for (Index j = 0; j < tile_vectors_; ++j) to[j] = targets[j] + weights_.begin(i) * size;
          tile_[i >= weights_.higher](std::min(block, depth - p), weights_.panel(group, i) + p * MR<T>,
                                      offsets_.data() + p, sources, to, size,
                                      epilogue_.end(group, i, p > 0, p + block >= depth));
          if (p + block >= depth) epilogue_.finish(weights_.rows(i), tile_vectors_, to, size);
        }
    }
  }

  // `image` counts images and their groups.
  void compute_strip(Index image, Index group, Index first, Index rows, T* space, T* sums) const {
    const Index plane = c_.vertical.source_size * c_.horizontal.source_size;
    const T* planes = prepare_planes(layout_, c_.vertical, c_.horizontal, c_.source + image * c_.channels * plane,
                                     first, rows, space);
    const Index depth = c_.depth(), passes = std::max<Index>(1, ceil_div(depth, max_tap_block));
    const Index block = std::max<Index>(1, ceil_div(depth, passes));
    for (Index p = 0; p == 0 || p < depth; p += block) {
      VectorStarts starts(layout_, rows, c_.horizontal.outputs);
      const Index vectors = layout_.vectors(rows, c_.horizontal.outputs);
      for (Index v = 0; v < vectors; v += tile_vectors_) {
        const T* sources[4];
        T* targets[4];
        for (Index j = 0; j < tile_vectors_; ++j) {
          const bool spare = v + j >= vectors;  // computes the last vector again, and drops it
          const Index start = spare ? 0 : starts.next();
          sources[j] = spare ? sources[j - 1] : planes + start;
          // Flat sums lie where they are read, so that a vector that was moved back finds its place.
          targets[j] = sums + (spare ? sum_stride_ - lanes<T> : layout_.flat ? start : (v + j) * lanes<T>);
        }
        for (Index i = 0; i < weights_.panels; ++i) {
          T* to[4];
          for (Index j = 0; j < tile_vectors_; ++j) to[j] = targets[j] + weights_.begin(i) * sum_stride_;
          tile_[i >= weights_.higher](std::min(block, depth - p), weights_.panel(group, i) + p * MR<T>,
                                      offsets_.data() + p, sources, to, sum_stride_, {p > 0, nullptr, T(0)});
        }
      }
    }
    finish_strip(image, group, first, rows, sums);
  }

  void finish_strip(Index image, Index group, Index first, Index rows, const T* sums) const {
    const Index columns = c_.horizontal.outputs, step = c_.horizontal.target_step;
    with_activation(c_.epilogue.activation, [&](auto kind) {
      for (Index r = 0; r < c_.rows; ++r) {
        const T bias = c_.epilogue.bias ? c_.epilogue.bias[group * c_.rows + r] : T(0);
        T* plane = c_.target + (image * c_.rows + r) * c_.target_height * c_.target_width + c_.horizontal.target_origin;
        for (Index i = 0; i < rows; ++i) {
          const T* from = sums + r * sum_stride_ + layout_.row_begin(i);
          T* to = plane + (c_.vertical.target_origin + (first + i) * c_.vertical.target_step) * c_.target_width;
          if (step == 1) finish_row<kind(), T>(columns, from, bias, c_.epilogue.parameter, to);
          else
            for (Index j = 0; j < columns; ++j) to[j * step] = from[j] + bias;
        }
      }
    });
  }

  const Correlation<T>& c_;
  const PackedWeights<T>& weights_;
  Layout layout_;
  bool direct_;  // outputs are computed row by row, in place
  Index strips_, tile_vectors_, sum_stride_;
  Buffer<Index> offsets_;
  CorrelateTile<T> tile_[2];  // of the higher panels, and of the others
  TileEpilogue<T> epilogue_;
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
