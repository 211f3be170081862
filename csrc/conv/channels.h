// The products of a convolution and of its input gradient for many filters: vectors run over the rows of weights
// (output channels, or input channels of the adjoint), and an element of the source is broadcast. So every vector that
// a tile reads is aligned, and rows of outputs may have any length; the price is a transpose of what it has summed.
#pragma once

#include "correlate.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Sums of a tile in registers, and its shape: at most so many vectors of channels, each for so many positions.
template <typename T> inline constexpr int tile_sums = Tile<T>::rows * Tile<T>::vectors;
template <typename T> inline constexpr int max_channel_vectors = std::min(3, tile_sums<T> / 4);
template <typename T> constexpr Index tile_positions(Index vectors) {
  return std::min<Index>(10, tile_sums<T> / vectors);
}
// Elements of a panel's weights in one pass: beside the source of a tile they stay in the L1 cache.
inline constexpr Index channel_weights_limit = 4608;
// Elements of planes and sums that a worker holds at a time: with the weights they are under a 512 KiB L2 cache.
inline constexpr Index channel_strip_limit = 65536;
// One row of outputs may need so many times that: its sums come from the next cache then.
inline constexpr Index widest_strip = 8;

// sums[i stride] (+)= over p of weights[p] times the source at starts[i] + offsets[p], for every position i of the
// tile.
template <typename T, int vectors>
__attribute__((noinline, aligned(64))) void channel_tile(Index depth, const T* weights, Index width,
                                                         const Index* offsets, const T* source, const Index* starts,
                                                         T* sums, Index stride, bool add) {
  constexpr int positions = tile_positions<T>(vectors);
  Vec<T> sum[positions][vectors] = {};
  const T* at[positions];
#pragma GCC unroll 16
  for (int i = 0; i < positions; ++i) at[i] = source + starts[i];
#pragma GCC unroll 2
  for (Index p = 0; p < depth; ++p, weights += width) {
    const Index offset = offsets[p];
    Vec<T> column[vectors];
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) column[j] = load(weights + j * lanes<T>);
#pragma GCC unroll 16
    for (int i = 0; i < positions; ++i) {
      const Vec<T> element = splat(at[i][offset]);
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j) sum[i][j] += element * column[j];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < positions; ++i, sums += stride)
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) {
      T* to = sums + j * lanes<T>;
      store(to, add ? load(to) + sum[i][j] : sum[i][j]);
    }
}

template <typename T>
using ChannelTile = void (*)(Index, const T*, Index, const Index*, const T*, const Index*, T*, Index, bool);

template <typename T, int vectors> ChannelTile<T> choose_channel_tile(Index wanted) {
  if (wanted == vectors) return channel_tile<T, vectors>;
  if constexpr (vectors > 1) return choose_channel_tile<T, vectors - 1>(wanted);
  return nullptr;
}

// The source of a strip to come: its lines are asked for while the strip before is multiplied.
template <typename T> class NextStrip {
 public:
  NextStrip() = default;
  NextStrip(const T* source, Index channels, Index size, Index stride, Index tiles)
      : line_(source),
        size_(size),
        stride_(stride),
        left_(channels * ceil_div(size, line)),
        share_(ceil_div(left_, std::max<Index>(1, tiles))) {}
  // For one of so many tiles.
  void ask() {
    for (Index n = std::min(share_, left_); n > 0; --n, --left_) {
      __builtin_prefetch(line_ + at_, 0, 2);
      at_ += line;
      if (at_ >= size_) {
        at_ = 0;
        line_ += stride_;
      }
    }
  }

 private:
  static constexpr Index line = 64 / sizeof(T);
  const T* line_ = nullptr;
  Index size_ = 0, stride_ = 0, left_ = 0, share_ = 0, at_ = 0;
};

template <typename T> class ChannelCorrelator {
 public:
  // Whether rows fill at least two vectors nine tenths, a strip is not too wide, and sums have enough terms to be worth
  // their transpose. Where a broadcast takes more than a load (SSE), tiles that broadcast fewer elements are as fast,
  // or faster.
  static bool suits(const Correlation<T>& c) {
    if constexpr (tile_sums<T> < 12) return false;
    const Index row = (c.vertical.max_shift + 1) * plane_row(c) + c.horizontal.outputs * round_up(c.rows, lanes<T>);
    return row <= widest_strip * channel_strip_limit && c.rows >= 2 * lanes<T> &&
           10 * round_up(c.rows, lanes<T>) <= 11 * c.rows && c.depth() >= 128;
  }
  // weights: in panels of max_channel_vectors
  ChannelCorrelator(const Correlation<T>& correlation, const PackedWeights<T>& weights)
      : c_(correlation),
        weights_(weights),
        columns_(c_.horizontal.outputs),
        stride_(round_up(c_.rows, lanes<T>)),
        layout_(make_layout<T>(c_.vertical, c_.horizontal, c_.channels, limit(), false)),
        strips_(ceil_div(c_.vertical.outputs, layout_.rows)),
        offsets_(c_.depth()),
        starts_(layout_.rows * columns_ + tile_positions<T>(1)),
        bias_(c_.groups * stride_),
        epilogue_(c_.epilogue) {
    tap_offsets(layout_, c_.vertical, c_.horizontal, offsets_.data());
    const Index positions = layout_.rows * columns_;
    for (Index i = 0; i < positions; ++i) starts_.data()[i] = i / columns_ * layout_.width + i % columns_;
    for (Index i = positions; i < positions + tile_positions<T>(1); ++i) starts_.data()[i] = 0;
    for (Index i = 0; i < c_.groups * stride_; ++i) {
      const Index row = i % stride_;
      bias_.data()[i] = c_.epilogue.bias && row < c_.rows ? c_.epilogue.bias[i / stride_ * c_.rows + row] : T(0);
    }
  }

  void run() const {
    const Index items = c_.batch * c_.groups * strips_;
    const Index work = c_.rows * c_.depth() * layout_.rows * columns_;
    const Index grain = std::max<Index>(1, multiply_grain / std::max<Index>(1, work));
    const Index planes = prepared_size(layout_, c_.vertical, c_.horizontal);
    const Index size = round_up(planes + (layout_.rows * columns_ + tile_positions<T>(1)) * stride_, 64);
    const Team team(items, grain, work);
    const Buffer<T> space(team.workers() * size);
    team.run([&](Index begin, Index end, int worker) {
      T* mine = space.data() + worker * size;
      for (Index item = begin; item < end; ++item) {
        const Index first = item % strips_ * layout_.rows;
        compute_strip(item / strips_, first, std::min(layout_.rows, c_.vertical.outputs - first), mine, mine + planes,
                      item + 1 < end ? after(item + 1) : NextStrip<T>());
      }
    });
  }

 private:
  // Elements of one row of all planes.
  static Index plane_row(const Correlation<T>& c) {
    return c.channels * c.vertical.planes * c.horizontal.planes * c.horizontal.length();
  }
  // Of the planes, so that they and the sums of their outputs stay within channel_strip_limit.
  Index limit() const {
    const Index row = plane_row(c_);
    const Index left = channel_strip_limit - c_.vertical.max_shift * row;
    const Index rows = std::max<Index>(1, left / std::max<Index>(1, row + columns_ * stride_));
    return (rows + c_.vertical.max_shift) * row;
  }

  // What the strip of an item reads.
  NextStrip<T> after(Index item) const {
    const Index plane = c_.vertical.source_size * c_.horizontal.source_size, width = c_.horizontal.source_size;
    const Index from = c_.vertical.source_origin + item % strips_ * layout_.rows * c_.vertical.source_step;
    const Index low = std::clamp<Index>(from, 0, c_.vertical.source_size);
    const Index high = std::clamp<Index>(from + (layout_.rows + c_.vertical.max_shift) * c_.vertical.source_step, low,
                                         c_.vertical.source_size);
    const Index passes = ceil_div(c_.depth() * weights_.width, channel_weights_limit);
    const Index tiles = passes * ceil_div(layout_.rows * columns_ * stride_, tile_sums<T> * lanes<T>);
    return {c_.source + item / strips_ * c_.channels * plane + low * width, c_.channels, (high - low) * width, plane,
            tiles};
  }

  // `image` counts images and their groups.
  void compute_strip(Index image, Index first, Index rows, T* space, T* sums, NextStrip<T> next) const {
    const Index plane = c_.vertical.source_size * c_.horizontal.source_size, group = image % c_.groups;
    const T* planes = prepare_planes(layout_, c_.vertical, c_.horizontal, c_.source + image * c_.channels * plane,
                                     first, rows, space);
    const Index depth = c_.depth(), passes = ceil_div(depth * weights_.width, channel_weights_limit);
    const Index block = std::max<Index>(1, ceil_div(depth, std::max<Index>(1, passes)));
    for (Index p = 0; p == 0 || p < depth; p += block)
      for (Index panel = 0; panel < weights_.panels; ++panel) {
        const Index vectors = ceil_div(weights_.rows(panel), lanes<T>), positions = tile_positions<T>(vectors);
        const ChannelTile<T> tile = choose_channel_tile<T, max_channel_vectors<T>>(vectors);
        for (Index i = 0; i < rows * columns_; i += positions) {
          next.ask();
          tile(std::min(block, depth - p), weights_.panel(group, panel) + p * weights_.width, weights_.width,
               offsets_.data() + p, planes, starts_.data() + i, sums + i * stride_ + weights_.begin(panel), stride_,
               p > 0);
        }
      }
    finish_strip(image, group, first, rows, sums);
  }

  void finish_strip(Index image, Index group, Index first, Index rows, T* sums) const {
    const Index plane = c_.target_height * c_.target_width;
    for (Index r = 0; r < c_.rows; r += lanes<T>) {
      const Vec<T> bias = load(bias_.data() + group * stride_ + r);
      const Index count = std::min<Index>(lanes<T>, c_.rows - r);
      T* to = c_.target + (image * c_.rows + r) * plane;
      T* from = sums + r;
      if (c_.is_dense()) {
        to += first * columns_;
        epilogue_.finish(rows * columns_, count, from, stride_, to, plane, bias);
      } else {  // of the input gradient alone: neither bias nor activation
        for (Index i = 0; i < rows; ++i)
          for (Index j = 0; j < columns_; ++j, from += stride_)
            for (Index k = 0; k < count; ++k) to[k * plane + c_.target_at(first + i, j)] = from[k];
      }
    }
  }

  const Correlation<T>& c_;
  const PackedWeights<T>& weights_;
  Index columns_, stride_;  // stride_: of the sums, from a position to the next
  Layout layout_;
  Index strips_;
  Buffer<Index> offsets_, starts_;  // starts_: of positions, in the planes; and of those that fill the last tile
  Buffer<T> bias_;
  TransposedEpilogue<T> epilogue_;
};

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
