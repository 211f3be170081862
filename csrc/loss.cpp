#include "loss.h"

#include "softmax_vec.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

template <typename T> T logit_of_target(Index columns, const T* row, std::int32_t target) {
  const bool inside = target >= 0 && target < columns;
  return inside ? row[target] : std::numeric_limits<T>::quiet_NaN();
}

// e^(x - m) of a block of short rows, in place of x, and what the losses need of them.
template <typename T> struct TileSums {
  Vec<T> m, rest;
};
template <typename T> DLCORE_INLINE TileSums<T> exponentials_of_tile(Index columns, Tile<T>& tile) {
  const Vec<T> m = tile_max(columns, tile);
  RestSum<T> rest;
  for (Index j = 0; j < columns; ++j) {
    const Vec<T> d = tile[j] - m, e = exp_shifted<T>(d);
    tile.set(j, e);
    rest.add(d, e);
  }
  return {m, rest.in_each_lane()};
}

// -(sum of the other exponentials) / (sum of all) for the target's d = x - m; without cancellation where it leads.
template <typename T> DLCORE_INLINE Vec<T> target_grad(Vec<T> d, Vec<T> rest) {
  const Vec<T> others = d == Vec<T>{} ? rest : (1 + rest) - exp_shifted<T>(d);
  return -others / (1 + rest);
}

}  // namespace

template <typename T>
void softmax_cross_entropy(Index rows, Index columns, const T* logits, const std::int32_t* targets, T* losses) {
  const auto narrow = [=](Index row, Index count) {
    const T* x = logits + row * columns;
    Tile<T> tile;
    load_tile(count, columns, x, tile);
    T picked[lanes<T>] = {};
    for (Index r = 0; r < count; ++r) picked[r] = logit_of_target(columns, x + r * columns, targets[row + r]);
    const Vec<T> m = tile_max(columns, tile);
    RestSum<T> rest;
    for (Index j = 0; j < columns; ++j) rest.add(tile[j] - m, exp_shifted<T>(tile[j] - m));
    store_lanes(losses + row, vlog1p<T>(rest.in_each_lane()) - (load(picked) - m), count);
  };
  const auto wide = [=](Index row) {
    const T* x = logits + row * columns;
    const T m = row_max(columns, x);
    const T rest = exponentials_of_row(columns, x, splat<T>(m), [](Index, Mask<T>, Vec<T>, Vec<T>) {});
    losses[row] = scalar_log1p(rest) - (logit_of_target(columns, x, targets[row]) - m);
  };
  for_rows<T>(rows, columns, narrow, wide);
}

template <typename T>
void softmax_cross_entropy_grad(Index rows, Index columns, const T* dlosses, const T* logits,
                                const std::int32_t* targets, T* dlogits) {
  const auto narrow = [=](Index row, Index count) {
    const T* x = logits + row * columns;
    Tile<T> tile;
    load_tile(count, columns, x, tile);
    const TileSums<T> sums = exponentials_of_tile(columns, tile);
    T picked[lanes<T>] = {};
    for (Index r = 0; r < count; ++r) picked[r] = logit_of_target(columns, x + r * columns, targets[row + r]);
    const Vec<T> dloss = load_lanes(dlosses + row, count), factor = dloss / (1 + sums.rest);
    for (Index j = 0; j < columns; ++j) tile.set(j, tile[j] * factor);
    const Vec<T> at_target = dloss * target_grad<T>(load(picked) - sums.m, sums.rest);
    for (Index r = 0; r < count; ++r) {
      const Index target = targets[row + r];
      if (target >= 0 && target < columns) tile.data[target * lanes<T> + r] = at_target[r];
    }
    store_tile(count, columns, tile, dlogits + row * columns);
  };
  const auto wide = [=](Index row) {
    const T* x = logits + row * columns;
    T* dx = dlogits + row * columns;
    const T m = row_max(columns, x), dloss = dlosses[row];
    const std::int32_t target = targets[row];
    const T d = logit_of_target(columns, x, target) - m;
    const T rest =
        exponentials_of_row(columns, x, splat<T>(m), [=](Index i, Mask<T>, Vec<T>, Vec<T> e) { store(dx + i, e); });
    const Vec<T> factor = splat<T>(dloss / (1 + rest));
    map_vectors(columns, dx, [=](Vec<T> e) { return e * factor; }, dx);
    if (target >= 0 && target < columns) dx[target] = dloss * target_grad<T>(splat<T>(d), splat<T>(rest))[0];
  };
  for_rows<T>(rows, columns, narrow, wide);
}

template <typename T>
void softmax_cross_entropy_soft(Index rows, Index columns, const T* logits, const T* targets, T* losses) {
  // sum(t) log(sum e) - sum(t d); a target of 0 meets no -infinity.
  const auto narrow = [=](Index row, Index count) {
    Tile<T> tile, weights;
    load_tile(count, columns, logits + row * columns, tile);
    load_tile(count, columns, targets + row * columns, weights);
    const Vec<T> m = tile_max(columns, tile);
    RestSum<T> rest;
    Vec<T> total{}, dot{};
    for (Index j = 0; j < columns; ++j) {
      const Vec<T> d = tile[j] - m, t = weights[j];
      rest.add(d, exp_shifted<T>(d));
      total += t;
      dot += t == Vec<T>{} ? t : t * d;
    }
    if (columns == 0) return store_lanes(losses + row, Vec<T>{}, count);
    store_lanes(losses + row, total * vlog1p<T>(rest.in_each_lane()) - dot, count);
  };
  const auto wide = [=](Index row) {
    const T *x = logits + row * columns, *weights = targets + row * columns;
    Vec<T> total{}, dot{};
    const auto visit = [&](Index i, Mask<T> live, Vec<T> d, Vec<T>) {
      const Vec<T> t = live ? load(weights + i) : Vec<T>{};
      total += t;
      dot += t == Vec<T>{} ? t : t * d;
    };
    const T rest = exponentials_of_row(columns, x, splat<T>(row_max(columns, x)), visit);
    losses[row] = horizontal_sum<T>(total) * scalar_log1p(rest) - horizontal_sum<T>(dot);
  };
  for_rows<T>(rows, columns, narrow, wide);
}

template <typename T>
void softmax_cross_entropy_soft_grad(Index rows, Index columns, const T* dlosses, const T* logits, const T* targets,
                                     T* dlogits) {
  const auto narrow = [=](Index row, Index count) {
    Tile<T> tile, weights;
    load_tile(count, columns, logits + row * columns, tile);
    load_tile(count, columns, targets + row * columns, weights);
    const TileSums<T> sums = exponentials_of_tile(columns, tile);
    Vec<T> total{};
    for (Index j = 0; j < columns; ++j) total += weights[j];
    const Vec<T> dloss = load_lanes(dlosses + row, count), factor = total / (1 + sums.rest);
    for (Index j = 0; j < columns; ++j) tile.set(j, dloss * (tile[j] * factor - weights[j]));
    store_tile(count, columns, tile, dlogits + row * columns);
  };
  const auto wide = [=](Index row) {
    const T *x = logits + row * columns, *weights = targets + row * columns;
    T* dx = dlogits + row * columns;
    Vec<T> total{};
    const auto visit = [&](Index i, Mask<T> live, Vec<T>, Vec<T> e) {
      total += live ? load(weights + i) : Vec<T>{};
      store(dx + i, e);
    };
    const T rest = exponentials_of_row(columns, x, splat<T>(row_max(columns, x)), visit);
    const Vec<T> dloss = splat<T>(dlosses[row]), factor = splat<T>(horizontal_sum<T>(total) / (1 + rest));
    map_vectors(columns, dx, [=](Vec<T> e, Vec<T> t) { return dloss * (e * factor - t); }, dx, weights);
  };
  for_rows<T>(rows, columns, narrow, wide);
}

template <typename T> void sigmoid_cross_entropy(Index n, const T* logits, const T* targets, T* losses) {
  using V = Vec<T>;
  // |x| (1 - t) or |x| t, and log1p(e^-|x|): neither cancels, and a weight of 0 meets no infinity.
  const auto f = [](V x, V t) {
    const V weight = x < V{} ? t : 1 - t, size = vabs<T>(x);
    return (weight == V{} ? weight : size * weight) + vsoftplus<T>(-size);
  };
  parallel_for(n, elementwise_grain / 8, [&](Index begin, Index end) {
    map_vectors(end - begin, losses + begin, f, logits + begin, targets + begin);
  });
}

template <typename T>
void sigmoid_cross_entropy_grad(Index n, const T* dlosses, const T* logits, const T* targets, T* dlogits) {
  using V = Vec<T>;
  // With q = sigmoid(-|x|): q - t below 0, (1 - t) - q above, exact where the prediction is right and certain.
  const auto f = [](V dloss, V x, V t) {
    const V e = exp_shifted<T>(-vabs<T>(x)), q = e / (1 + e);
    return dloss * (x < V{} ? q - t : (1 - t) - q);
  };
  parallel_for(n, elementwise_grain / 4, [&](Index begin, Index end) {
    map_vectors(end - begin, dlogits + begin, f, dlosses + begin, logits + begin, targets + begin);
  });
}

template <typename T> void squared_error(Index n, const T* a, const T* b, T* losses) {
  parallel_for(n, elementwise_grain, [&](Index begin, Index end) {
    const auto f = [](Vec<T> u, Vec<T> v) { return (u - v) * (u - v); };
    map_vectors(end - begin, losses + begin, f, a + begin, b + begin);
  });
}

template <typename T> void squared_error_grad(Index n, const T* dlosses, const T* a, const T* b, T* da) {
  parallel_for(n, elementwise_grain, [&](Index begin, Index end) {
    const auto f = [](Vec<T> dloss, Vec<T> u, Vec<T> v) { return 2 * dloss * (u - v); };
    map_vectors(end - begin, da + begin, f, dlosses + begin, a + begin, b + begin);
  });
}

#define DLCORE_INSTANTIATE(T)                                                                          \
  template void softmax_cross_entropy(Index, Index, const T*, const std::int32_t*, T*);                \
  template void softmax_cross_entropy_grad(Index, Index, const T*, const T*, const std::int32_t*, T*); \
  template void softmax_cross_entropy_soft(Index, Index, const T*, const T*, T*);                      \
  template void softmax_cross_entropy_soft_grad(Index, Index, const T*, const T*, const T*, T*);       \
  template void sigmoid_cross_entropy(Index, const T*, const T*, T*);                                  \
  template void sigmoid_cross_entropy_grad(Index, const T*, const T*, const T*, T*);                   \
  template void squared_error(Index, const T*, const T*, T*);                                          \
  template void squared_error_grad(Index, const T*, const T*, const T*, T*);
DLCORE_INSTANTIATE(float)
DLCORE_INSTANTIATE(double)
#undef DLCORE_INSTANTIATE

}  // namespace dlcore::DLCORE_DEVICE
