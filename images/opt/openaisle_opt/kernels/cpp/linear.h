// One unit of work of a linear layer: some panels of the weight against some rows.
#pragma once

#include <cstdint>

#include "stored.h"

namespace openaisle {

// y = relu(x w^T + bias) + residual, with x [M, K], w [N, K], y [M, N] and a residual of y's shape.
//
// The weight is cut into panels of `panel` rows (columns of y), the last one padded. A panel is
// transposed, so that it is read from beginning to end: for each k the `panel` numbers w[.., k], or for
// a kernel that multiplies bfloat16 in pairs, for each even k the `panel` pairs w[.., k], w[.., k + 1].
struct LinearArgs {
  int64_t M, N, K;
  const void* x;  // float32, or what `narrow` makes of it
  const void* w;
  const float* bias;      // [N] or null
  const float* residual;  // [M, N] or null
  float* y;
  bool relu;
};

struct LinearKernel {
  int panel;
  bool pairs;  // whether bfloat16 weights lie in pairs and their x must be narrowed; an odd K is then padded
  // Computes panels `first` to `last` (exclusive) for rows `row` to `row_end` (at most `max_rows`).
  void (*run)(const LinearArgs&, Stored, int64_t row, int64_t row_end, int64_t first, int64_t last);
  // Row n of a packed weight w [N, K], which is the embedding of token n where head and embedding are one.
  void (*unpack)(const void* w, Stored, int64_t K, int64_t n, float* y);
  // A row [K] as bfloat16, padded to an even number.
  void (*narrow)(const float* x, int64_t K, uint16_t* to);

  bool pairs_up(Stored stored) const { return pairs && stored == Stored::bf16; }
  // K with its padding.
  int64_t depth(Stored stored, int64_t K) const { return pairs_up(stored) ? K + K % 2 : K; }
};

constexpr int64_t max_rows = 96;

namespace avx2 {
LinearKernel linear_kernel();
}
namespace avx512 {
LinearKernel linear_kernel();
}
namespace avx512bf16 {
LinearKernel linear_kernel();
}

}  // namespace openaisle
