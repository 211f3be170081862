// Products of layers of states with weights, in which units that are 0 are skipped: most are, of binary states and of
// pictures. A sum is the chain of its other terms, in order.
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>

#include "../matmul.h"
#include "../matmul/pack.h"
#include "../matmul/tiles.h"
#include "../memory.h"
#include "../parallel.h"
#include "../vecmath.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// Columns of a panel, so many sums stay in registers, and rows of one that stay in the first-level cache.
constexpr int panel_vectors = 8;
template <typename T> constexpr Index panel_width = panel_vectors * lanes<T>;
constexpr Index panel_rows = 24576 / (panel_vectors * vector_bytes);
// Cases worth packing the weights for, and whose entries memory holds with ease.
constexpr Index least_rows = 16, most_rows = 4096;
// Worth handing to another thread: elements looked at, entries moved.
constexpr Index elements_grain = elementwise_grain / 4, entries_grain = 4096;

// The share of other elements up to which a product by entries is the faster one: measured on Zen 2 where columns are
// many; what it takes to find the entries, however many columns they are for, is that of a dense product of 32 columns
// (steps of 784 visible and 16 to 256 hidden units, Zen 3). In tiles of bfloat16 a dense product of 100 cases takes a
// third to a half of its cycles, as counted (docs/performance.md).
template <typename T> double most_entries(Index columns) {
  const double of_many = std::is_same_v<T, float> && has_tiles() ? 0.15 : 0.35;
  return of_many * (1 - 32 / static_cast<double>(columns));
}

// The elements other than 0 of rows, in runs of panel_rows places: run r of row i is starts[i (runs + 1) + r] up to the
// number after that.
template <typename T> struct Entries {
  Index rows = 0, depth = 0, runs = 0, total = 0;
  Buffer<Index> starts;
  Buffer<std::int32_t> place;
  Buffer<T> value;

  Entries() = default;
  // Room is left for all elements, and for one more, which is written before it is known to be one: so x is read in
  // one pass, whatever else writes to it.
  Entries(Index n, Index depth_, const T* x)
      : rows(n),
        depth(depth_),
        runs(ceil_div(depth_, panel_rows)),
        starts(n * (runs + 1)),
        place(n * (depth_ + 1)),
        value(n * (depth_ + 1)) {
    Index* const to_starts = starts.data();
    std::int32_t* const to_place = place.data();
    T* const to_value = value.data();
    parallel_for(n, std::max<Index>(1, elements_grain / (depth + 1)), [=, this](Index begin, Index end) {
      for (Index row = begin; row < end; ++row)
        collect(row, x + row * depth, to_starts + row * (runs + 1), to_place, to_value);
    });
    for (Index row = 0; row < n; ++row) total += to_starts[row * (runs + 1) + runs] - to_starts[row * (runs + 1)];
  }
  bool few(Index columns) const {
    return static_cast<double>(total) <=
           most_entries<T>(columns) * static_cast<double>(rows) * static_cast<double>(depth);
  }

  // Those of the columns of two groups of rows, one above the other.
  static Entries of_columns(const Entries& above, const Entries& below) {
    const Index width = above.depth, depth = above.rows + below.rows;
    Entries all;
    all.rows = width;
    all.depth = depth;
    all.runs = ceil_div(depth, panel_rows);
    all.total = above.total + below.total;
    all.starts = Buffer<Index>(width * (all.runs + 1));
    all.place = Buffer<std::int32_t>(all.total);
    all.value = Buffer<T>(all.total);
    // Blocks of rows are counted, and then placed, on their own: where each begins in every column lies between.
    const Index block_rows = std::max<Index>(32, ceil_div(depth, 64));
    const Index blocks = ceil_div(above.rows, block_rows) + ceil_div(below.rows, block_rows);
    const Buffer<Index> ends(blocks * width);
    Index* const next = ends.data();
    const Index grain = std::max<Index>(1, entries_grain * blocks / (all.total + 1));
    parallel_for(blocks, grain, [=, &above, &below](Index begin, Index end) {
      std::fill(next + begin * width, next + end * width, Index{0});
      for_each_row(above, below, block_rows, begin, end,
                   [=](Index block, Index, const std::int32_t* at, const T*, Index count) {
                     Index* const counts = next + block * width;
                     for (Index e = 0; e < count; ++e) ++counts[at[e]];
                   });
    });
    for (Index j = 0, sum = 0; j < width; ++j)
      for (Index block = 0; block < blocks; ++block) sum += std::exchange(next[block * width + j], sum);
    Index* const to_starts = all.starts.data();
    std::int32_t* const to_place = all.place.data();
    T* const to_value = all.value.data();
    const Index stride = all.runs + 1;
    for (Index j = 0; j < width; ++j) to_starts[j * stride + all.runs] = j + 1 < width ? next[j + 1] : all.total;
    parallel_for(blocks, grain, [=, &above, &below](Index begin, Index end) {
      for_each_row(above, below, block_rows, begin, end,
                   [=](Index block, Index row, const std::int32_t* at, const T* x, Index count) {
                     Index* const to = next + block * width;
                     if (row % panel_rows == 0)
                       for (Index j = 0; j < width; ++j) to_starts[j * stride + row / panel_rows] = to[j];
                     for (Index e = 0; e < count; ++e) {
                       const Index entry = to[at[e]]++;
                       to_place[entry] = static_cast<std::int32_t>(row);
                       to_value[entry] = x[e];
                     }
                   });
    });
    return all;
  }

 private:
  void collect(Index row, const T* x, Index* to_starts, std::int32_t* to_place, T* to_value) const {
    Index found = row * (depth + 1);
    const Index first = found;
    for (Index run = 0; run < runs; ++run) {
      to_starts[run] = found;
      const Index stop = std::min(depth, (run + 1) * panel_rows);
      for (Index j = run * panel_rows; j < stop; ++j) {
        to_place[found] = static_cast<std::int32_t>(j);
        found += x[j] != 0;
      }
    }
    to_starts[runs] = found;
    for (Index e = first; e < found; ++e) to_value[e] = x[to_place[e]];
  }
  // Calls f(block, row, places, values, count) for the rows of some blocks of two groups of rows.
  template <typename F>
  static void for_each_row(const Entries& above, const Entries& below, Index block_rows, Index begin, Index end,
                           const F& f) {
    const Index blocks_above = ceil_div(above.rows, block_rows);
    for (Index block = begin; block < end; ++block) {
      const bool is_above = block < blocks_above;
      const Entries& part = is_above ? above : below;
      const Index first = (is_above ? block : block - blocks_above) * block_rows, base = is_above ? 0 : above.rows;
      for (Index row = first; row < std::min(part.rows, first + block_rows); ++row) {
        const Index* const at = part.starts.data() + row * (part.runs + 1);
        f(block, base + row, part.place.data() + at[0], part.value.data() + at[0], at[part.runs] - at[0]);
      }
    }
  }
};

// op(B), (depth, columns), in panels of columns, zero beyond them.
template <typename T> struct Panels {
  Index depth = 0, columns = 0;
  bool finite = false;
  Buffer<T> data;

  // `source` is (depth, columns), or where transposed (columns, depth).
  Panels() = default;
  Panels(bool transposed, Index depth_, Index columns_, const T* source)
      : depth(depth_), columns(columns_), data(ceil_div(columns_, panel_width<T>) * panel_width<T> * depth_) {
    constexpr Index width = panel_width<T>;
    const Index panels = ceil_div(columns, width);
    const Buffer<T> sums(panels);
    parallel_for(panels, 1, [=, this, &sums](Index begin, Index end) {
      for (Index panel = begin; panel < end; ++panel) {
        T* const to = data.data() + panel * width * depth;
        const Index from = panel * width, here = std::min(width, columns - from);
        if (transposed) pack_columns<T, static_cast<int>(width)>(depth, here, source + from * depth, depth, to);
        else pack_rows<T, static_cast<int>(width)>(depth, here, source + from, columns, to);
        Vec<T> sum[panel_vectors] = {};  // NaN where a number is not finite
        for (Index i = 0; i < width * depth; i += width)
          for (int v = 0; v < panel_vectors; ++v) sum[v] += load(to + i + v * lanes<T>) * T(0);
        T all = 0;
        for (const Vec<T>& part : sum) all += horizontal_sum<T>(part);
        sums.data()[panel] = all;
      }
    });
    T all = 0;
    for (Index panel = 0; panel < panels; ++panel) all += sums.data()[panel];
    finite = all == 0;
  }
};

// to += the sum of the entries' rows of a panel, of `vectors` vectors. A function of its own: inlined, GCC keeps the
// sums in memory.
template <typename T, int vectors>
__attribute__((noinline)) void add_entries(Index count, const std::int32_t* place, const T* value, const T* panel,
                                           T* to) {
  Vec<T> sum[vectors];
#pragma GCC unroll 8
  for (int v = 0; v < vectors; ++v) sum[v] = load(to + v * lanes<T>);
  for (Index e = 0; e < count; ++e) {
    const T* const row = panel + place[e] * panel_width<T>;
    const Vec<T> x = splat(value[e]);
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) sum[v] += x * load(row + v * lanes<T>);
  }
#pragma GCC unroll 8
  for (int v = 0; v < vectors; ++v) store(to + v * lanes<T>, sum[v]);
}

template <typename T> using AddEntries = void (*)(Index, const std::int32_t*, const T*, const T*, T*);
template <typename T, std::size_t... i> AddEntries<T> add_entries_of(Index vectors, std::index_sequence<i...>) {
  static constexpr AddEntries<T> sums[] = {&add_entries<T, static_cast<int>(i) + 1>...};
  return sums[vectors - 1];
}

// out = f(A B), f(column, sums): of A the entries, (rows, depth).
template <typename T, typename F> void multiply_entries(const Entries<T>& a, const Panels<T>& b, T* out, const F& f) {
  constexpr Index width = panel_width<T>, most = 64;
  const Index columns = b.columns, runs = a.runs;
  const Index panels = ceil_div(columns, width), groups = ceil_div(a.rows, most);
  const Index group = ceil_div(a.rows, std::max<Index>(1, groups));
  const Index* const starts = a.starts.data();
  const std::int32_t* const place = a.place.data();
  const T* const value = a.value.data();
  const T* const data = b.data.data();
  const Index work = std::max<Index>(1, a.total * width / std::max<Index>(1, groups));
  const Team team(panels * groups, std::max<Index>(1, 200'000 / work), group * a.depth);
  team.run([=, &a, &b, &f](Index begin, Index end, int) {
    T sums[most * width];
    for (Index task = begin; task < end; ++task) {
      const Index panel = task / groups, from = panel * width, here = std::min(width, columns - from);
      const Index first = task % groups * group, count = std::min(group, a.rows - first);
      const auto add = add_entries_of<T>(ceil_div(here, lanes<T>), std::make_index_sequence<panel_vectors>{});
      std::fill(sums, sums + count * width, T(0));
      for (Index run = 0; run < runs; ++run)
        for (Index i = 0; i < count; ++i) {
          const Index* const at = starts + (first + i) * (runs + 1) + run;
          if (at[1] > at[0]) add(at[1] - at[0], place + at[0], value + at[0], data + from * b.depth, sums + i * width);
        }
      for (Index i = 0; i < count; ++i) {
        T* const to = out + (first + i) * columns + from;
        for (Index j = 0; j < here; j += lanes<T>) {
          const Vec<T> result = f(from + j, load(sums + i * width + j));
          if (j + lanes<T> <= here) store(to + j, result);
          else store_partial(to + j, result, here - j);
        }
      }
    }
  });
}

// Whether few elements of some of the rows are other than 0.
template <typename T> bool seems_few(Index n, Index depth, Index columns, const T* x) {
  if (most_entries<T>(columns) <= 0) return false;
  constexpr Index looked_at = 8;
  Index found = 0;
  for (Index i = 0; i < looked_at; ++i) {
    const T* const row = x + i * n / looked_at * depth;
    for (Index j = 0; j < depth; ++j) found += row[j] != 0;
  }
  return static_cast<double>(found) <= 1.1 * most_entries<T>(columns) * static_cast<double>(looked_at * depth);
}

// The products of one machine's weights with layers of states, W in panels as soon as they are needed. Weights that are
// not finite reach all sums, as in matmul.
template <typename T> class Weights {
 public:
  explicit Weights(const Rbm<T>& rbm) : rbm_(rbm) {}

  // activation(x W + bias), or of h W^T.
  void up(Index n, const T* x, const Epilogue<T>& epilogue, T* out, Entries<T>* entries = nullptr) {
    product(false, n, rbm_.n_visible, rbm_.n_hidden, x, epilogue, out, up_, entries);
  }
  void down(Index n, const T* h, const Epilogue<T>& epilogue, T* out) {
    product(true, n, rbm_.n_hidden, rbm_.n_visible, h, epilogue, out, down_, nullptr);
  }

 private:
  void product(bool transposed, Index n, Index depth, Index columns, const T* x, const Epilogue<T>& epilogue, T* out,
               Panels<T>& panels, Entries<T>* kept) {
    if (n >= least_rows && n <= most_rows && depth > 0 && columns > 0 && seems_few(n, depth, columns, x)) {
      Entries<T> entries(n, depth, x);
      const bool few = entries.few(columns);
      if (few && !panels.data.data()) panels = Panels<T>(transposed, depth, columns, rbm_.weight);
      const bool by_entries = few && panels.finite;
      if (by_entries) {
        const T* const bias = epilogue.bias;
        const bool sigmoid = epilogue.activation == Activation::sigmoid;
        multiply_entries(entries, panels, out, [=](Index j, Vec<T> sum) {
          const Vec<T> field =
              bias ? sum + (j + lanes<T> <= columns ? load(bias + j) : load_partial(bias + j, columns - j)) : sum;
          return sigmoid ? vsigmoid<T>(field) : field;
        });
      }
      if (kept) *kept = by_entries ? std::move(entries) : Entries<T>();
      if (by_entries) return;
    }
    matmul(false, transposed, n, columns, depth, T(1), x, rbm_.weight, T(0), out, epilogue);
  }

  const Rbm<T>& rbm_;
  Panels<T> up_, down_;
};

// to = factor v^T h of rows of both layers; of v the entries of the first rows and of those below, where it has few.
template <typename T>
void correlate(Index rows, const Entries<T>& above, const Entries<T>& below, Index visible, Index hidden, T factor,
               const T* v, const T* h, T* to) {
  if (above.rows + below.rows == rows && hidden > 0) {
    const Panels<T> panels(false, rows, hidden, h);
    if (panels.finite) {
      const Vec<T> by = splat(factor);
      return multiply_entries(Entries<T>::of_columns(above, below), panels, to,
                              [=](Index, Vec<T> sum) { return by * sum; });
    }
  }
  matmul(true, false, visible, hidden, rows, factor, v, h, T(0), to);
}

}  // namespace
}  // namespace dlcore::DLCORE_DEVICE
