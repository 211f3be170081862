#include "loss.h"

#include "instances/loss.h"
#include "loss_pointwise.h"
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

// Targets of one row in each lane, those of the leading class apart: what the others have is never a difference.
template <typename T> struct SplitSum {
  Vec<T> top{}, below{};
  DLCORE_INLINE void add(Vec<T> e, Vec<T> t) {
    top += e == splat<T>(1) ? t : Vec<T>{};
    below += e == splat<T>(1) ? Vec<T>{} : t;
  }
};

// p (sum of t) - t for p = e / (1 + rest); without cancellation where e = 1 leads.
template <typename T> DLCORE_INLINE Vec<T> soft_target_grad(Vec<T> e, Vec<T> t, Vec<T> rest, const SplitSum<T>& sum) {
  const Vec<T> leading = (sum.below + (sum.top - t)) - t * rest, all = 1 + rest;
  return e == splat<T>(1) ? leading / all : e * ((sum.below + sum.top) / all) - t;
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
    SplitSum<T> total;
    for (Index j = 0; j < columns; ++j) total.add(tile[j], weights[j]);
    const Vec<T> dloss = load_lanes(dlosses + row, count);
    for (Index j = 0; j < columns; ++j) tile.set(j, dloss * soft_target_grad<T>(tile[j], weights[j], sums.rest, total));
    store_tile(count, columns, tile, dlogits + row * columns);
  };
  const auto wide = [=](Index row) {
    const T *x = logits + row * columns, *weights = targets + row * columns;
    T* dx = dlogits + row * columns;
    SplitSum<T> lanewise;
    const auto visit = [&](Index i, Mask<T> live, Vec<T>, Vec<T> e) {
      lanewise.add(e, live ? load(weights + i) : Vec<T>{});
      store(dx + i, e);
    };
    const Vec<T> rest = splat<T>(exponentials_of_row(columns, x, splat<T>(row_max(columns, x)), visit));
    const SplitSum<T> total = {splat<T>(horizontal_sum<T>(lanewise.top)), splat<T>(horizontal_sum<T>(lanewise.below))};
    const Vec<T> dloss = splat<T>(dlosses[row]);
    const auto each = [=](Vec<T> e, Vec<T> t) { return dloss * soft_target_grad<T>(e, t, rest, total); };
    map_vectors(columns, dx, each, dx, weights);
  };
  for_rows<T>(rows, columns, narrow, wide);
}

namespace {

// Calls body(Loss<kind, T>{}) with the kind as a compile-time constant.
template <typename T, typename Body> void with_pointwise(PointwiseLoss kind, const Body& body) {
  using enum PointwiseLoss;
#define DLCORE_CASE(name) \
  case name: return body(pointwise::Loss<name, T>{})
  switch (kind) {
    DLCORE_CASE(squared);
    DLCORE_CASE(absolute);
    DLCORE_CASE(epsilon_insensitive);
    DLCORE_CASE(huber);
    DLCORE_CASE(log_cosh);
    DLCORE_CASE(hinge);
    DLCORE_CASE(squared_hinge);
    DLCORE_CASE(logistic);
    DLCORE_CASE(log_loss);
    DLCORE_CASE(kl);
    DLCORE_CASE(kl_log);
    DLCORE_CASE(poisson);
    DLCORE_CASE(poisson_log);
    DLCORE_CASE(gaussian_kernel);
    DLCORE_CASE(correntropy);
    DLCORE_CASE(focal);
    DLCORE_CASE(tolerance);
    DLCORE_CASE(zero_one);
  }
#undef DLCORE_CASE
}

// Chunks of about 10 microseconds.
constexpr Index grain_of(PointwiseLoss kind) {
  switch (kind) {
    case PointwiseLoss::squared:
    case PointwiseLoss::absolute:
    case PointwiseLoss::epsilon_insensitive:
    case PointwiseLoss::huber:
    case PointwiseLoss::hinge:
    case PointwiseLoss::squared_hinge:
    case PointwiseLoss::tolerance:
    case PointwiseLoss::zero_one: return elementwise_grain;
    default: return elementwise_grain / 8;
  }
}

}  // namespace

template <typename T>
void pointwise_loss(PointwiseLoss kind, double parameter, Index n, const T* f, const T* y, T* losses) {
  with_pointwise<T>(kind, [&](auto loss) {
    parallel_for(n, grain_of(kind), [&](Index begin, Index end) {
      const auto each = [=](Vec<T> a, Vec<T> b) { return decltype(loss)::value(a, b, parameter); };
      map_vectors(end - begin, losses + begin, each, f + begin, y + begin);
    });
  });
}

template <typename T>
void pointwise_loss_grad(PointwiseLoss kind, double parameter, Index n, const T* dlosses, const T* f, const T* y,
                         T* df) {
  with_pointwise<T>(kind, [&](auto loss) {
    using L = decltype(loss);
    if constexpr (requires { L::first; })
      parallel_for(n, grain_of(kind), [&](Index begin, Index end) {
        const auto each = [=](Vec<T> d, Vec<T> a, Vec<T> b) { return d * L::first(a, b, parameter); };
        map_vectors(end - begin, df + begin, each, dlosses + begin, f + begin, y + begin);
      });
  });
}

template <typename T>
void pointwise_loss_hessian(PointwiseLoss kind, double parameter, Index n, const T* dlosses, const T* f, const T* y,
                            T* ddf) {
  with_pointwise<T>(kind, [&](auto loss) {
    using L = decltype(loss);
    if constexpr (requires { L::second; })
      parallel_for(n, grain_of(kind), [&](Index begin, Index end) {
        const auto each = [=](Vec<T> d, Vec<T> a, Vec<T> b) {
          return pointwise::weigh<T>(d, L::second(a, b, parameter));
        };
        map_vectors(end - begin, ddf + begin, each, dlosses + begin, f + begin, y + begin);
      });
  });
}

DLCORE_LOSS_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
