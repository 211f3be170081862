#include "reduce.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "instances/reduce.h"
#include "memory.h"
#include "parallel.h"
#include "reduce_extreme.h"
#include "vec.h"
#include "vecmath.h"

namespace dlcore::DLCORE_DEVICE {
namespace {

// The last `count` lanes of v; the others zero.
template <typename T> DLCORE_INLINE Vec<T> keep_last(Vec<T> v, Index count) {
  Vec<IntOf<T>> lane;
  for (int k = 0; k < lanes<T>; ++k) lane[k] = k;
  return lane >= splat(static_cast<IntOf<T>>(lanes<T> - count)) ? v : Vec<T>{};
}

// Sum of term(i), the vector of elements i to i + lanes, over [begin, end); end >= lanes. Four vectors take 16 steps
// each; these leaves are added pairwise, as the digits of a binary counter carry.
template <typename T, typename Term> DLCORE_INLINE T sum_terms(Index begin, Index end, const Term& term) {
  constexpr Index width = 4 * lanes<T>, leaf_width = 16 * width;
  const auto leaf = [&](Index i, Index stop) {
    Vec<T> part[4] = {};
    for (; i + width <= stop; i += width)
      for (int k = 0; k < 4; ++k) part[k] += term(i + k * lanes<T>);
    for (; i + lanes<T> <= stop; i += lanes<T>) part[0] += term(i);
    if (i < stop) part[1] += keep_last<T>(term(stop - lanes<T>), stop - i);
    return (part[0] + part[1]) + (part[2] + part[3]);
  };
  if (end - begin <= leaf_width) return horizontal_sum<T>(leaf(begin, end));
  Vec<T> stack[16];  // chunk / leaf_width < 2^16
  Index leaves = 0;
  for (Index i = begin; i < end; i += leaf_width) {
    Vec<T> carry = leaf(i, std::min(end, i + leaf_width));
    int level = 0;
    for (Index digit = leaves++; digit & 1; digit >>= 1) carry += stack[level++];
    stack[level] = carry;
  }
  Vec<T> total{};
  for (int level = 0; leaves != 0; leaves >>= 1, ++level)
    if (leaves & 1) total += stack[level];
  return horizontal_sum<T>(total);
}

template <typename T> DLCORE_INLINE T sum_few(Index n, const T* x) {
  T total = 0;
  for (Index i = 0; i < n; ++i) total += x[i];
  return total;
}

constexpr Index few = 16;  // elements that are added faster one by one, rows overlapping in the pipeline; >= lanes

template <typename T> T sum_row(Index begin, Index end, const T* x) {
  return sum_terms<T>(begin, end, [x](Index i) { return load(x + i); });
}

template <typename T> void sum_rows(Index rows, Index n, const T* x, T* y) {
  const Index pieces = ceil_div(n, chunk);
  const Buffer<T> buffer = pieces > 1 ? Buffer<T>(rows * pieces) : Buffer<T>();
  T* partial = pieces > 1 ? buffer.data() : y;
  parallel_for(rows * pieces, std::max<Index>(1, chunk / n), [&](Index begin, Index end) {
    if (n <= few) {
      for (Index row = begin; row < end; ++row) partial[row] = sum_few(n, x + row * n);
    } else if (pieces == 1) {
      for (Index row = begin; row < end; ++row) partial[row] = sum_row(0, n, x + row * n);
    } else {
      for (Index item = begin; item < end; ++item) {
        const Index first = item % pieces * chunk;
        partial[item] = sum_row(first, std::min(n, first + chunk), x + item / pieces * n);
      }
    }
  });
  if (pieces > 1) sum_rows(rows, pieces, partial, y);
}

// y[j] += the sum of eight rows of x, pairwise.
template <typename T> void add_eight_rows(Index columns, const T* __restrict x, Index stride, T* __restrict y) {
  for (Index j = 0; j < columns; ++j) {
    const T* p = x + j;
    y[j] += ((p[0] + p[stride]) + (p[2 * stride] + p[3 * stride])) +
            ((p[4 * stride] + p[5 * stride]) + (p[6 * stride] + p[7 * stride]));
  }
}

template <typename T> void add_row(Index columns, const T* __restrict x, T* __restrict y) {
  for (Index j = 0; j < columns; ++j) y[j] += x[j];
}

constexpr Index chunk_rows = 64;       // added one after another, eight at a time
constexpr Index narrow_columns = 128;  // below, several rows are added as one long row

// x has n rows of `columns` for each of `outer`, which start x_stride elements apart.
template <typename T> void sum_wide(Index outer, Index x_stride, Index n, Index columns, const T* x, T* y) {
  const Index pieces = ceil_div(n, chunk_rows), strips = ceil_div(columns, strip_columns);
  const Buffer<T> buffer = pieces > 1 ? Buffer<T>(outer * pieces * columns) : Buffer<T>();
  T* partial = pieces > 1 ? buffer.data() : y;
  const Index work = std::min(n, chunk_rows) * std::min(columns, strip_columns);
  parallel_for(outer * pieces * strips, std::max<Index>(1, elementwise_grain / work), [&](Index begin, Index end) {
    for (Index item = begin; item < end; ++item) {
      const Index piece = item / strips;  // of all outer ones
      const Index row = piece % pieces * chunk_rows, column = item % strips * strip_columns;
      const Index rows = std::min(chunk_rows, n - row), width = std::min(strip_columns, columns - column);
      const T* from = x + piece / pieces * x_stride + row * columns + column;
      T* to = partial + piece * columns + column;
      std::fill_n(to, width, T{0});
      Index i = 0;
      for (; i + 8 <= rows; i += 8) add_eight_rows(width, from + i * columns, columns, to);
      for (; i < rows; ++i) add_row(width, from + i * columns, to);
    }
  });
  if (pieces > 1) sum_wide(outer, pieces * columns, pieces, columns, partial, y);
}

// Adds the rows of x (rows, columns) pairwise in place; the sum is left in the first.
template <typename T> void fold_rows(Index rows, Index columns, T* x) {
  while (rows > 1) {
    const Index half = (rows + 1) / 2;
    add_row((rows - half) * columns, x + half * columns, x);
    rows = half;
  }
}

template <typename T> void sum_columns(Index outer, Index n, Index columns, const T* x, T* y) {
  if (columns >= narrow_columns) return sum_wide(outer, n * columns, n, columns, x, y);
  const Index together = std::min(n, 2 * narrow_columns / columns), long_rows = n / together;
  const Index width = together * columns, rest = n % together;
  const Buffer<T> buffer = long_rows > 1 ? Buffer<T>(outer * width) : Buffer<T>();
  if (long_rows > 1) sum_wide(outer, n * columns, long_rows, width, x, buffer.data());
  parallel_for(outer, std::max<Index>(1, elementwise_grain / width), [&](Index begin, Index end) {
    T scratch[2 * narrow_columns];
    for (Index i = begin; i < end; ++i) {
      std::copy_n(long_rows > 1 ? buffer.data() + i * width : x + i * n * columns, width, scratch);
      add_row(rest * columns, x + i * n * columns + long_rows * width, scratch);
      fold_rows(together, columns, scratch);
      std::copy_n(scratch, columns, y + i * columns);
    }
  });
}

// sum_j exp(x[j] - shift), with shift the largest x[j] where that is finite, so that nothing overflows.
template <typename T> T sum_of_exp(Index n, const T* x, T& shift) {
  Vec<T> largest = splat<T>(-std::numeric_limits<T>::infinity());
  Index i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) {
    const Vec<T> v = load(x + i);
    largest = v > largest ? v : largest;  // a NaN is not larger; it comes back in the sum
  }
  T m = largest[0];
  for (int lane = 1; lane < lanes<T>; ++lane) m = std::max(m, T{largest[lane]});
  for (; i < n; ++i) m = x[i] > m ? x[i] : m;
  shift = m - m == 0 ? m : T{0};
  const T subtracted = shift;
  if (n >= lanes<T>) return sum_terms<T>(0, n, [=](Index at) { return vexp<T>(load(x + at) - subtracted); });
  T values[lanes<T>];
  store(values, vexp<T>(load_partial(x, n) - subtracted));
  return sum_few(n, values);
}

}  // namespace

template <typename T> void sum(Index outer, Index n, Index inner, const T* x, T* y) {
  const Index size = outer * inner;
  if (size == 0) return;
  if (n == 0) {
    std::fill_n(y, size, T{0});
  } else if (n == 1) {
    std::memcpy(y, x, static_cast<std::size_t>(size) * sizeof(T));
  } else if (inner == 1) {
    sum_rows(outer, n, x, y);
  } else {
    sum_columns(outer, n, inner, x, y);
  }
}

template <typename T>
void extreme(bool largest, Index outer, Index n, Index inner, const T* x, T* values, std::int32_t* indices) {
  if (outer == 0 || inner == 0) return;
  if (inner == 1) {
    if (largest) extreme_rows<true>(outer, n, x, values, indices);
    else extreme_rows<false>(outer, n, x, values, indices);
  } else {
    if (largest) extreme_columns<true>(outer, n, inner, x, values, indices);
    else extreme_columns<false>(outer, n, inner, x, values, indices);
  }
}

template <typename T> void logsumexp(Index rows, Index columns, const T* x, T* y) {
  constexpr Index exp_cost = 8;  // of one exponential, in additions
  const Index grain = std::max<Index>(1, elementwise_grain / exp_cost / std::max<Index>(1, columns));
  parallel_for(rows, grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; i += lanes<T>) {
      const Index count = std::min<Index>(lanes<T>, end - i);
      T sums[lanes<T>] = {}, shifts[lanes<T>] = {};
      for (Index k = 0; k < count; ++k) sums[k] = sum_of_exp(columns, x + (i + k) * columns, shifts[k]);
      const Vec<T> values = vlog<T>(load(sums)) + load(shifts);
      if (count == lanes<T>) store(y + i, values);
      else store_partial(y + i, values, count);
    }
  });
}

template <typename T> T dot(Index n, const T* a, const T* b) {
  if (n < lanes<T>) {
    T products[lanes<T>] = {};
    for (Index i = 0; i < n; ++i) products[i] = a[i] * b[i];
    return sum_few(n, products);
  }
  const Index pieces = ceil_div(n, chunk);
  const auto part = [=](Index first) {
    return sum_terms<T>(first, std::min(n, first + chunk), [=](Index i) { return load(a + i) * load(b + i); });
  };
  if (pieces == 1) return part(0);
  const Buffer<T> partial(pieces);
  parallel_for(pieces, 1, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) partial.data()[i] = part(i * chunk);
  });
  T result;
  sum_rows(1, pieces, partial.data(), &result);
  return result;
}

template <typename T> bool all_finite(Index n, const T* x) {
  std::atomic<bool> finite{true};
  parallel_for(n, chunk, [&](Index begin, Index end) {
    constexpr Index block = 1024;
    for (Index i = begin; i < end && finite.load(std::memory_order_relaxed); i += block) {
      const Index stop = std::min(end, i + block);
      IntOf<T> bad = 0;
      for (Index j = i; j < stop; ++j) bad |= x[j] - x[j] != 0 ? -1 : 0;  // NaN for infinities and NaN
      if (bad) finite.store(false, std::memory_order_relaxed);
    }
  });
  return finite.load();
}

template <typename T> bool within(Index n, const T* x, double low, double high) {
  if (n == 0) return true;
  if constexpr (std::is_integral_v<T>) {
    bool all = true;
    for (Index i = 0; i < n; ++i) all &= x[i] >= low && x[i] <= high;
    return all;
  } else {
    T found;
    std::int32_t place;
    const auto bound = [&](bool largest) {
      extreme(largest, 1, n, 1, x, &found, &place);
      return found;
    };
    return bound(false) >= static_cast<T>(low) && bound(true) <= static_cast<T>(high);
  }
}

DLCORE_REDUCE_INSTANCES

}  // namespace dlcore::DLCORE_DEVICE
