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
//
// The rows of x are cut into `groups` of nearly equal height, the rows of a tile, which are transposed likewise: for
// each k (or even k) the group's numbers (or pairs), 32 bits each, from one step to the next `stride` of them.
struct LinearArgs {
  int64_t M, N, K;
  const uint32_t* x;
  int64_t groups, stride;
  const void* w;
  const float* bias;      // [N] or null
  const float* residual;  // [M, N] or null
  float* y;
  uint32_t* next;  // or null: in place of y, as x of a layer that takes y
  bool relu;

  // The first row of a group.
  int64_t begin(int64_t group) const { return group * M / groups; }
};

struct LinearKernel {
  int panel;
  int tile_rows;  // the most rows of a group
  bool pairs;     // whether bfloat16 weights lie in pairs, and their x too; an odd K is then padded
  // Computes panels `first` to `last` (exclusive) for groups `group` to `group_end` (of at most `max_rows` rows).
  void (*run)(const LinearArgs&, Stored, int64_t group, int64_t group_end, int64_t first, int64_t last);
  // Row n of a packed weight w [N, K], which is the embedding of token n where head and embedding are one.
  void (*unpack)(const void* w, Stored, int64_t K, int64_t n, float* y);
  // Puts four rows [K] side by side into a group, `to` being the first one's place, or the only row where the stride
  // is 1.
  void (*arrange)(const float* const rows[4], Stored, int64_t K, uint32_t* to, int64_t stride);

  int64_t depth(Stored stored) const { return pairs && stored == Stored::bf16 ? 2 : 1; }
  // In how many steps K is read.
  int64_t steps(Stored stored, int64_t K) const { return (K + depth(stored) - 1) / depth(stored); }
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
