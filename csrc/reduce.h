// Sums, extremes and inner products. Every sum adds fixed blocks in a fixed order: the error grows with the logarithm
// of the length, and the bits do not depend on the number of threads.
#pragma once

#include "types.h"

namespace dlcore::DLCORE_DEVICE {

// y (outer, inner) = sum of x (outer, n, inner) over its middle axis; 0 where n is 0.
template <typename T> void sum(Index outer, Index n, Index inner, const T* x, T* y);

// The largest (or smallest) of the middle axis of x (outer, n, inner) and its first position; NaN counts as more
// extreme than any number. 1 <= n < 2^31.
template <typename T>
void extreme(bool largest, Index outer, Index n, Index inner, const T* x, T* values, std::int32_t* indices);

// y[i] = log sum_j exp(x[i][j]).
template <typename T> void logsumexp(Index rows, Index columns, const T* x, T* y);

template <typename T> T dot(Index n, const T* a, const T* b);
template <typename T> bool all_finite(Index n, const T* x);
// low <= x[i] <= high for all i, of float, double or int32; false where one is NaN. n < 2^31.
template <typename T> bool within(Index n, const T* x, double low, double high);

}  // namespace dlcore::DLCORE_DEVICE
