// Layer norm of rows.
#pragma once

#include <cstdint>

namespace openaisle {

// y = (x - mean) / sqrt(variance + 1e-5) * weight + bias for each row of x [T, E]; y may be x.
struct NormArgs {
  int64_t T, E;
  const float* x;
  const float* weight;  // [E] or null
  const float* bias;    // [E] or null
  float* y;
};

void norm_row(const NormArgs&, int64_t row);

}  // namespace openaisle
