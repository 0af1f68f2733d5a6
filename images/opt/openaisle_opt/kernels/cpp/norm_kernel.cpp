// Layer norm for AVX2; compiled with ISA=avx2 and WIDTH=8.
#include "norm.h"

#include <cmath>

#include "vec.h"

namespace openaisle {

using namespace ISA;

namespace {

// The sum of f(i) for all i below n, where f gives a vector of W or a single number.
template <typename F, typename G>
float sum(int64_t n, const F& vector_at, const G& number_at) {
  Floats sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int j = 0; j < 4; j++) sums[j] += vector_at(i + j * W);
  for (; i + W <= n; i += W) sums[0] += vector_at(i);
  const Floats all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float total = 0;
  for (int j = 0; j < W; j++) total += all[j];
  for (; i < n; i++) total += number_at(i);
  return total;
}

}  // namespace

void norm_row(const NormArgs& args, int64_t row) {
  const int64_t n = args.E;
  const float* x = args.x + row * n;
  float* y = args.y + row * n;
  const float mean = sum(n, [&](int64_t i) { return load(x + i); }, [&](int64_t i) { return x[i]; }) / n;
  const auto square = [](auto v) { return v * v; };
  const float variance = sum(n, [&](int64_t i) { return square(load(x + i) - mean); },
                             [&](int64_t i) { return square(x[i] - mean); }) / n;
  const float factor = 1.0f / std::sqrt(variance + 1e-5f);
  for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor;
  if (args.weight)
    for (int64_t i = 0; i < n; i++) y[i] *= args.weight[i];
  if (args.bias)
    for (int64_t i = 0; i < n; i++) y[i] += args.bias[i];
}

}  // namespace openaisle
