// Times the hot kernels without Python: bench_<isa> [threads]. One line each: median microseconds and the rate.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "activation.h"
#include "conv.h"
#include "matmul.h"
#include "memory.h"
#include "parallel.h"

namespace {

using namespace dlcore::DLCORE_DEVICE;

template <typename F> double median_seconds(const F& f) {
  using clock = std::chrono::steady_clock;
  f();  // warm up: memory, caches, threads
  std::vector<double> times;
  const auto start = clock::now();
  do {
    const auto begin = clock::now();
    f();
    times.push_back(std::chrono::duration<double>(clock::now() - begin).count());
  } while (times.size() < 5 || clock::now() - start < std::chrono::milliseconds(300));
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

Buffer<float> ramp(Index n) {
  Buffer<float> buffer(n);
  for (Index i = 0; i < n; ++i) buffer.data()[i] = static_cast<float>(i % 17) / 17.0F - 0.5F;
  return buffer;
}

void bench_matmul(bool transpose_a, bool transpose_b, Index m, Index n, Index k) {
  const auto a = ramp(m * k), b = ramp(k * n), c = ramp(m * n);
  const double seconds = median_seconds(
      [&] { matmul<float>(transpose_a, transpose_b, m, n, k, 1.0F, a.data(), b.data(), 0.0F, c.data()); });
  std::printf("matmul %c%c %4lld x %4lld x %4lld %10.1f us %8.1f GFLOP/s\n", transpose_a ? 'T' : 'N',
              transpose_b ? 'T' : 'N', static_cast<long long>(m), static_cast<long long>(k), static_cast<long long>(n),
              1e6 * seconds, 2e-9 * static_cast<double>(m * n * k) / seconds);
}

void bench_conv(const char* name, const ConvShape& s) {
  const Index y_size = s.batch * s.out_channels * s.out_height() * s.out_width();
  const auto x = ramp(s.batch * s.in_channels * s.in_height * s.in_width), y = ramp(y_size);
  const Index depth = s.in_channels / s.groups * s.kernel_height * s.kernel_width;
  const auto weight = ramp(s.out_channels * depth);
  const double seconds = median_seconds([&] { conv2d<float>(s, x.data(), weight.data(), y.data()); });
  std::printf("conv2d %-22s %10.1f us %8.1f GFLOP/s\n", name, 1e6 * seconds,
              2e-9 * static_cast<double>(y_size * depth) / seconds);
}

void bench_activation(const char* name, Activation kind) {
  const Index n = 1 << 20;
  const auto x = ramp(n), y = ramp(n);
  const double seconds = median_seconds([&] { activation<float>(kind, 0.0F, n, x.data(), y.data()); });
  std::printf("%-29s %10.1f us %8.2f G elements/s\n", name, 1e6 * seconds, 1e-9 * static_cast<double>(n) / seconds);
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1) set_num_threads(std::max(1, std::atoi(arguments[1])));
  std::printf("%d thread(s)\n", num_threads());
  for (const Index n : {64, 128, 256, 512, 1024, 2048}) bench_matmul(false, false, n, n, n);
  bench_matmul(false, false, 100, 500, 784);
  bench_matmul(true, false, 784, 500, 100);
  bench_matmul(false, true, 100, 784, 500);
  bench_matmul(false, false, 128, 10, 500);
  bench_conv("1 -> 6, 5x5, 28x28", {128, 1, 28, 28, 6, 5, 5, 1, 1, 2, 2, 1, 1, 1});
  bench_conv("6 -> 16, 5x5, 14x14", {128, 6, 14, 14, 16, 5, 5, 1, 1, 0, 0, 1, 1, 1});
  bench_conv("32 -> 64, 3x3, 32x32", {64, 32, 32, 32, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1});
  bench_activation("sigmoid", Activation::sigmoid);
  bench_activation("relu", Activation::relu);
  return 0;
}
