#include "activation.h"

#include "activation_vec.h"
#include "instances/activation.h"
#include "softmax_vec.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Chunks of about 10 microseconds.
constexpr Index grain_of(Activation kind) {
  switch (kind) {
    case Activation::identity:
    case Activation::relu:
    case Activation::leaky_relu: return elementwise_grain;
    default: return elementwise_grain / 4;
  }
}

}  // namespace

template <typename T> void activation(Activation kind, T parameter, Index n, const T* x, T* y) {
  with_activation(kind, [&](auto constant) {
    parallel_for(n, grain_of(constant()), [&](Index begin, Index end) {
      const auto f = [&](Vec<T> v) { return activate<constant(), T>(v, parameter); };
      map_vectors(end - begin, y + begin, f, x + begin);
    });
  });
}

template <typename T> void activation_grad(Activation kind, T parameter, Index n, const T* dy, const T* y, T* dx) {
  with_activation(kind, [&](auto constant) {
    parallel_for(n, elementwise_grain, [&](Index begin, Index end) {
      const auto f = [&](Vec<T> g, Vec<T> v) { return activate_grad<constant(), T>(g, v, parameter); };
      map_vectors(end - begin, dx + begin, f, dy + begin, y + begin);
    });
  });
}

template <typename T> void softmax(Index rows, Index columns, const T* x, T* y) {
  const auto narrow = [=](Index row, Index count) {
    Tile<T> tile;
    load_tile(count, columns, x + row * columns, tile);
    const Vec<T> m = tile_max(columns, tile);
    Vec<T> sum{};
    for (Index j = 0; j < columns; ++j) {
      const Vec<T> e = exp_shifted<T>(tile[j] - m);
      tile.set(j, e);
      sum += e;
    }
    const Vec<T> inverse = 1 / sum;
    for (Index j = 0; j < columns; ++j) tile.set(j, tile[j] * inverse);
    store_tile(count, columns, tile, y + row * columns);
  };
  const auto wide = [=](Index row) {
    const T* from = x + row * columns;
    T* to = y + row * columns;
    const Vec<T> m = splat<T>(row_max(columns, from));
    const T rest = exponentials_of_row(columns, from, m, [=](Index i, Mask<T>, Vec<T>, Vec<T> e) { store(to + i, e); });
    const Vec<T> inverse = splat<T>(1 / (1 + rest));
    map_vectors(columns, to, [=](Vec<T> e) { return e * inverse; }, to);
  };
  for_rows<T>(rows, columns, narrow, wide);
}

// dx = y (dy - sum(dy y))
template <typename T> void softmax_grad(Index rows, Index columns, const T* dy, const T* y, T* dx) {
  const auto narrow = [=](Index row, Index count) {
    Tile<T> tile_y, tile_dy;
    load_tile(count, columns, y + row * columns, tile_y);
    load_tile(count, columns, dy + row * columns, tile_dy);
    Vec<T> dot{};
    for (Index j = 0; j < columns; ++j) dot += tile_y[j] * tile_dy[j];
    for (Index j = 0; j < columns; ++j) tile_y.set(j, tile_y[j] * (tile_dy[j] - dot));
    store_tile(count, columns, tile_y, dx + row * columns);
  };
  const auto wide = [=](Index row) {
    const T *row_y = y + row * columns, *row_dy = dy + row * columns;
    Vec<T> sums[4] = {};
    fold_columns<T>(columns, sums, T{0}, [](Vec<T>& sum, Vec<T> v, Vec<T> g) { sum += v * g; }, row_y, row_dy);
    const Vec<T> dot = splat<T>(sum_states<T>(sums));
    map_vectors(columns, dx + row * columns, [=](Vec<T> v, Vec<T> g) { return v * (g - dot); }, row_y, row_dy);
  };
  for_rows<T>(rows, columns, narrow, wide);
}

template <typename T> void log_softmax(Index rows, Index columns, const T* x, T* y) {
  const auto narrow = [=](Index row, Index count) {
    Tile<T> tile;
    load_tile(count, columns, x + row * columns, tile);
    const Vec<T> m = tile_max(columns, tile);
    RestSum<T> rest;
    for (Index j = 0; j < columns; ++j) {
      const Vec<T> d = tile[j] - m;
      rest.add(d, exp_shifted<T>(d));
    }
    const Vec<T> log_sum = vlog1p<T>(rest.in_each_lane());
    for (Index j = 0; j < columns; ++j) tile.set(j, (tile[j] - m) - log_sum);
    store_tile(count, columns, tile, y + row * columns);
  };
  const auto wide = [=](Index row) {
    const T* from = x + row * columns;
    const Vec<T> m = splat<T>(row_max(columns, from));
    const T rest = exponentials_of_row(columns, from, m, [](Index, Mask<T>, Vec<T>, Vec<T>) {});
    const Vec<T> log_sum = splat<T>(scalar_log1p(rest));
    map_vectors(columns, y + row * columns, [=](Vec<T> v) { return (v - m) - log_sum; }, from);
  };
  for_rows<T>(rows, columns, narrow, wide);
}

// dx = dy - e^y sum(dy)
template <typename T> void log_softmax_grad(Index rows, Index columns, const T* dy, const T* y, T* dx) {
  const auto narrow = [=](Index row, Index count) {
    Tile<T> tile_y, tile_dy;
    load_tile(count, columns, y + row * columns, tile_y);
    load_tile(count, columns, dy + row * columns, tile_dy);
    Vec<T> sum{};
    for (Index j = 0; j < columns; ++j) sum += tile_dy[j];
    for (Index j = 0; j < columns; ++j) tile_y.set(j, tile_dy[j] - vexp<T>(tile_y[j]) * sum);
    store_tile(count, columns, tile_y, dx + row * columns);
  };
  const auto wide = [=](Index row) {
    const T* row_dy = dy + row * columns;
    Vec<T> sums[4] = {};
    fold_columns<T>(columns, sums, T{0}, [](Vec<T>& total, Vec<T> g) { total += g; }, row_dy);
    const Vec<T> sum = splat<T>(sum_states<T>(sums));
    map_vectors(
        columns, dx + row * columns, [=](Vec<T> v, Vec<T> g) { return g - vexp<T>(v) * sum; }, y + row * columns,
        row_dy);
  };
  for_rows<T>(rows, columns, narrow, wide);
}

DLCORE_ACTIVATION_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
