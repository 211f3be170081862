// A convolution with kernels of one element that leaves out no position, and its two adjoints: of each image products
// of matrices, with the planes as they lie.
#pragma once

#include "../matmul/gemm.h"
#include "correlate.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Depth of one pass: its source for NR positions, and its weights for a panel of rows, stay in the L1 cache.
inline constexpr Index pointwise_block = 400;
// Numbers of a source packed at a time where that is more than one tile: neighbouring cache lines of planes that lie
// far apart come from memory faster together.
template <typename T> inline constexpr Index packed_positions = 16384 / sizeof(T);

// rows x NR sums of weights times `depth` planes at the same positions.
template <typename T, int rows>
__attribute__((noinline, aligned(64))) void pointwise_tile(Index depth, const T* a, const T* packed, T* y,
                                                           Index y_stride, const TileEnd<T>& end) {
  constexpr int vectors = Tile<T>::vectors;
  Vec<T> sum[rows][vectors] = {};
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) __builtin_prefetch(y + i * y_stride, 1);
#pragma GCC unroll 4
  for (Index p = 0; p < depth; ++p, a += MR<T>, packed += NR<T>) {
    Vec<T> column[vectors];
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) column[j] = load(packed + j * lanes<T>);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
      const Vec<T> element = splat(a[i]);
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) sum[i][j] += element * column[j];
    }
  }
  if (end.add) {
    const T* before = y;
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i, before += y_stride)
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) sum[i][j] += load(before + j * lanes<T>);
  }
  if (const T* bias = end.bias) {
    const Vec<T> floor = splat(end.floor);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i, y += y_stride)
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) {
        const Vec<T> value = sum[i][j] + bias[i];
        store(y + j * lanes<T>, value < floor ? floor : value);
      }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i, y += y_stride)
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) store(y + j * lanes<T>, sum[i][j]);
  }
}

template <typename T> using PointwiseTile = void (*)(Index, const T*, const T*, T*, Index, const TileEnd<T>&);

template <typename T, int rows> PointwiseTile<T> choose_pointwise_tile(Index wanted) {
  if (wanted == rows) return pointwise_tile<T, rows>;
  if constexpr (rows > 1) return choose_pointwise_tile<T, rows - 1>(wanted);
  return nullptr;
}

// NR positions of `depth` planes: before they are multiplied, as so many loads wait for memory side by side.
template <typename T> void pack_positions(Index depth, const T* source, Index stride, T* packed) {
  constexpr int vectors = Tile<T>::vectors;
#pragma GCC unroll 4
  for (Index p = 0; p < depth; ++p, source += stride, packed += NR<T>)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) store(packed + j * lanes<T>, load(source + j * lanes<T>));
}

template <typename T> class PointwiseCorrelator {
 public:
  // Whether each output is the product of the weights with the source at its own place, in planes of at least a tile.
  static bool suits(const Correlation<T>& c) {
    const auto plain = [](const Axis& axis, Index target) {
      return axis.taps == 1 && axis.plain() && axis.target_step == 1 && axis.target_origin == 0 &&
             axis.outputs == target;
    };
    return plain(c.vertical, c.target_height) && plain(c.horizontal, c.target_width) &&
           c.target_height * c.target_width >= NR<T>;
  }

  PointwiseCorrelator(const Correlation<T>& correlation, const PackedWeights<T>& weights)
      : c_(correlation),
        weights_(weights),
        plane_(correlation.target_height * correlation.target_width),
        blocks_(std::max<Index>(1, ceil_div(correlation.channels, pointwise_block))),
        block_(std::max<Index>(1, ceil_div(correlation.channels, blocks_))),
        width_(NR<T> * std::clamp<Index>(packed_positions<T> / (NR<T> * block_), 1, 4)),
        epilogue_(correlation.epilogue, correlation.groups, weights) {
    for (int i = 0; i < 2; ++i)
      tile_[i] = choose_pointwise_tile<T, MR<T>>(weights_.rows(i == 0 ? 0 : weights_.panels - 1));
  }

  void run() const {
    const Index strips = ceil_div(plane_, width_), items = c_.batch * c_.groups * strips;
    const Index work = std::max<Index>(1, c_.rows * c_.channels * width_);
    const Team team(items, std::max<Index>(1, multiply_grain / work), work);
    const Index size = block_ * width_ + MR<T> * NR<T>;
    const Buffer<T> space(team.workers() * size);
    team.run([&](Index begin, Index end, int worker) {
      T* packed = space.data() + worker * size;
      for (Index item = begin; item < end; ++item)
        compute_strip(item / strips, item % strips * width_, packed, packed + block_ * width_);
    });
  }

 private:
  static constexpr int vectors = Tile<T>::vectors;
  static constexpr Index cache_line = 64 / sizeof(T);

  // All rows at up to width_ positions. `image` counts images and their groups. `edge`: room for a tile.
  void compute_strip(Index image, Index position, T* packed, T* edge) const {
    const Index positions = std::min(width_, plane_ - position), image_size = c_.channels * plane_;
    const T* source = c_.source + image * image_size + position;
    const bool is_last_strip = position + width_ >= plane_;
    const T* following = is_last_strip ? c_.source + (image + 1) * image_size : source + width_;
    const Index fetched_positions =
        is_last_strip ? std::min(width_, plane_) : std::min(width_, plane_ - position - width_);
    T* target = c_.target + image * c_.rows * plane_ + position;
    for (Index block = 0; block < blocks_; ++block) {
      const Index p = block * block_, depth = std::min(block_, c_.channels - p);
      const bool last = block == blocks_ - 1;
      const T* from = source + p * plane_;
      const T* next = last ? following : from + depth * plane_;
      for (Index at = 0; at < positions; at += NR<T>) {
        if (at + NR<T> <= positions) pack_positions(depth, from + at, plane_, packed + at * depth);
        else pack_rows<T, NR<T>>(depth, positions - at, from + at, plane_, packed + at * depth);
      }
      for (Index i = 0, fetched = 0; i < weights_.panels; ++i) {
        // What comes next is brought nearer meanwhile: no hardware prefetcher sees the stride of a plane.
        for (const Index stop = depth * (i + 1) / weights_.panels; fetched < stop; ++fetched)
          for (Index at = 0; at < fetched_positions; at += cache_line)
            __builtin_prefetch(next + fetched * plane_ + at, 0, 2);
        for (Index at = 0; at < positions; at += NR<T>)
          compute_tile(image, i, p, depth, std::min<Index>(NR<T>, positions - at), packed + at * depth,
                       target + weights_.begin(i) * plane_ + at, edge);
      }
    }
  }

  void compute_tile(Index image, Index panel, Index p, Index depth, Index columns, const T* packed, T* y,
                    T* edge) const {
    const Index group = image % c_.groups, rows = weights_.rows(panel);
    const bool whole = columns == NR<T>, last = p + depth == c_.channels;
    T* to = whole ? y : edge;
    const Index stride = whole ? plane_ : NR<T>;
    if (!whole && p > 0)
      for (Index r = 0; r < rows; ++r) copy_few<T, NR<T>>(edge + r * NR<T>, y + r * plane_, columns);
    tile_[panel >= weights_.higher](depth, weights_.panel(group, panel) + p * MR<T>, packed, to, stride,
                                    epilogue_.end(group, panel, p > 0, last));
    if (last) {
      T* targets[vectors];
      for (int j = 0; j < vectors; ++j) targets[j] = to + j * lanes<T>;
      epilogue_.finish(rows, vectors, targets, stride);
    }
    if (!whole)
      for (Index r = 0; r < rows; ++r) copy_few<T, NR<T>>(y + r * plane_, edge + r * NR<T>, columns);
  }

  const Correlation<T>& c_;
  const PackedWeights<T>& weights_;
  Index plane_, blocks_, block_, width_;  // width_: of positions at a time
  TileEpilogue<T> epilogue_;
  PointwiseTile<T> tile_[2];  // of the higher panels, and of the others
};

// dweight = sum over images of dy[image] x[image]^T, as a Problem of matmul/gemm.h: the positions of all images are the
// depth.
template <typename T> struct PointwiseWeightGrad {
  Index rows, columns_, depth;
  Index plane, x_image, dy_image;
  const T* x;
  const T* dy;
  T* dweight;
  Index panels = ceil_div(columns_, NR<T>), ldc = columns_;
  T alpha = 1, beta = 0;
  static constexpr bool has_finish = false;

  Index columns(Index panel) const { return std::min<Index>(NR<T>, columns_ - panel * NR<T>); }
  T* c(Index panel) const { return dweight + panel * NR<T>; }

  // Some rows of the images' planes, from position p of all images on.
  template <int width>
  void pack_planes(const T* images, Index image, Index row, Index count, Index p, Index depth_, T* to) const {
    for (Index done = 0, n; done < depth_; done += n) {
      const Index at = (p + done) % plane;
      n = std::min(depth_ - done, plane - at);
      pack_columns<T, width>(n, count, images + (p + done) / plane * image + row * plane + at, plane,
                             to + done * width);
    }
  }
  void pack_a(Index row, Index count, Index p, Index depth_, T* to) const {
    pack_planes<MR<T>>(dy, dy_image, row, count, p, depth_, to);
  }
  void pack_b(Index panel, Index p, Index depth_, T* to) const {
    pack_planes<NR<T>>(x, x_image, panel * NR<T>, columns(panel), p, depth_, to);
  }
};

// Whether the weight gradient is such a product, and wide enough for its tiles.
template <typename T> bool suits_weight_product(const ConvShape& s) {
  return s.kernel_height == 1 && s.kernel_width == 1 && s.stride_height == 1 && s.stride_width == 1 &&
         s.padding_height == 0 && s.padding_width == 0 && s.in_channels / s.groups >= NR<T>;
}

template <typename T> void pointwise_weight_grad(const ConvShape& s, const T* x, const T* dy, T* dweight) {
  const Index rows = s.out_channels / s.groups, columns = s.in_channels / s.groups, plane = s.in_height * s.in_width;
  for (Index group = 0; group < s.groups; ++group)
    gemm<T>(PointwiseWeightGrad<T>{rows, columns, s.batch * plane, plane, s.in_channels * plane, s.out_channels * plane,
                                   x + group * columns * plane, dy + group * rows * plane,
                                   dweight + group * rows * columns});
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
