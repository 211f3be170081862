// How the tiles of a convolution end: the bias and the activation of what they have summed.
#pragma once

#include <limits>

#include "../activation_vec.h"
#include "pack.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// What becomes of sums: max(sum + bias[i], floor), where there is a bias.
template <typename T> struct TileEnd {
  bool add;  // first, to what is in the targets
  const T* bias;
  T floor;
};

// activation(y) on a tile of outputs where they lie. Its vectors may overlap: all of a row are read first.
template <Activation kind, typename T>
void finish_tile(Index rows, Index vectors, T* const* targets, Index stride, T parameter) {
  for (Index i = 0; i < rows; ++i) {
    Vec<T> value[4];
    for (Index j = 0; j < vectors; ++j) value[j] = activate<kind, T>(load(targets[j] + i * stride), parameter);
    for (Index j = 0; j < vectors; ++j) store(targets[j] + i * stride, value[j]);
  }
}

template <typename T> using FinishTile = void (*)(Index, Index, T* const*, Index, T);

// An epilogue by tiles, of at most four vectors: what a tile ends with, and for activations that are more than a floor,
// a second look at it.
template <typename T> class TileEpilogue {
 public:
  TileEpilogue(const Epilogue<T>& epilogue, Index groups, const PackedWeights<T>& weights)
      : parameter_(epilogue.parameter) {
    const bool is_floor = epilogue.activation == Activation::relu;
    if (is_floor) floor_ = 0;
    else if (epilogue.activation != Activation::identity)
      with_activation(epilogue.activation, [&](auto kind) { finish_ = finish_tile<kind(), T>; });
    if (!epilogue.bias && !is_floor) return;
    panels_ = weights.panels;
    biases_ = Buffer<T>(groups * panels_ * MR<T>);
    const Index rows = weights.row_count;
    T* bias = biases_.data();
    for (Index group = 0; group < groups; ++group)
      for (Index p = 0; p < panels_; ++p, bias += MR<T>)
        for (Index i = 0; i < weights.rows(p); ++i)
          bias[i] = epilogue.bias ? epilogue.bias[group * rows + weights.begin(p) + i] : T(0);
  }
  // Of a panel of rows; `last`: their sums are complete.
  TileEnd<T> end(Index group, Index panel, bool add, bool last) const {
    return {add, last && biases_.data() ? biases_.data() + (group * panels_ + panel) * MR<T> : nullptr, floor_};
  }
  void finish(Index rows, Index vectors, T* const* targets, Index stride) const {
    if (finish_) finish_(rows, vectors, targets, stride, parameter_);
  }

 private:
  Index panels_ = 0;
  Buffer<T> biases_;  // MR for each panel
  T parameter_;
  T floor_ = -std::numeric_limits<T>::infinity();
  FinishTile<T> finish_ = nullptr;
};

// activation(sums + bias), n vectors a stride apart.
template <Activation kind, typename T> void activate_sums(Index n, T* sums, Index stride, Vec<T> bias, T parameter) {
  for (Index i = 0; i < n; ++i, sums += stride) store(sums, activate<kind, T>(load(sums) + bias, parameter));
}

// An epilogue of sums that are transposed into the outputs.
template <typename T> class TransposedEpilogue {
 public:
  explicit TransposedEpilogue(const Epilogue<T>& epilogue) : parameter_(epilogue.parameter) {
    if (epilogue.activation == Activation::relu) floor_ = 0;
    else if (epilogue.activation != Activation::identity)
      with_activation(epilogue.activation, [&](auto kind) { activate_ = activate_sums<kind(), T>; });
  }
  // to[j to_stride + i] from sums[i stride + j]; `bias` is that of each vector of columns.
  void finish(Index rows, Index columns, T* sums, Index stride, T* to, Index to_stride, Vec<T> bias) const {
    if (activate_) {
      for (Index j = 0; j < columns; j += lanes<T>) activate_(rows, sums + j, stride, bias, parameter_);
      bias = Vec<T>{};
    }
    const Vec<T> floor = splat(floor_);
    transpose<false>(rows, columns, sums, stride, to, to_stride, [=](Vec<T> v) {
      v += bias;
      return v < floor ? floor : v;
    });
  }

 private:
  T parameter_;
  T floor_ = -std::numeric_limits<T>::infinity();
  void (*activate_)(Index, T*, Index, Vec<T>, T) = nullptr;
};

// One row of finished outputs.
template <Activation kind, typename T>
DLCORE_INLINE void finish_row(Index n, const T* sums, T bias, T parameter, T* to) {
  const auto value = [&](Index j) { return activate<kind, T>(load(sums + j) + bias, parameter); };
  if (n >= lanes<T>) {
    for (Index j = 0; j + lanes<T> <= n; j += lanes<T>) store(to + j, value(j));
    if (n % lanes<T>) store(to + n - lanes<T>, value(n - lanes<T>));
  } else {
    T padded[lanes<T>];
    store(padded, value(0));
    for (Index j = 0; j < n; ++j) to[j] = padded[j];
  }
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
