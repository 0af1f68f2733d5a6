// One unit of work of a linear layer: some panels of the weight against all rows.
#pragma once

#include <cstdint>

#include "stored.h"

namespace openaisle {

// y = relu(x w^T + bias) + residual, with x [M, K], w [N, K], y [M, N] and a residual of y's shape.
//
// The weight is cut into panels of `panel` rows (columns of y), the last one padded. A panel is
// transposed, so that it is read from beginning to end: for each k the `panel` numbers w[.., k].
struct LinearArgs {
  int64_t M, N, K;
  const float* x;
  const void* w;
  const float* bias;      // [N] or null
  const float* residual;  // [M, N] or null
  float* y;
  bool relu;
};

struct LinearKernel {
  int panel;
  // Computes panels `first` to `last` (exclusive) for rows `row` to `row_end` (at most `max_rows`).
  void (*run)(const LinearArgs&, Stored, int64_t row, int64_t row_end, int64_t first, int64_t last);
};

constexpr int64_t max_rows = 96;

namespace avx2 {
LinearKernel linear_kernel();
}
namespace avx512 {
LinearKernel linear_kernel();
}

}  // namespace openaisle
