// The linear kernel's code for AVX-512, compiled for AVX2: the same arithmetic at twice the width, on
// CPUs that most machines have.
#include <algorithm>
#include <vector>

#include "linear.h"

using namespace openaisle;

namespace {

const LinearKernel kernel = wide::linear_kernel();

// Divides the rows of the arguments and those of `next`, and gives memory for the groups of x [M, K].
std::vector<uint32_t> divide(LinearArgs& args) {
  args.groups = (args.M + kernel.tile_rows - 1) / kernel.tile_rows;
  args.stride = args.M == 1 ? 1 : kernel.tile_rows;
  return std::vector<uint32_t>(args.groups * args.stride * kernel.steps(Stored::bf16, args.K));
}

void run(const LinearArgs& args) {
  kernel.run(args, Stored::bf16, 0, args.groups, 0, (args.N + kernel.panel - 1) / kernel.panel);
}

}  // namespace

// Two layers: x [M, K] -> relu -> y [M, second.N], of which `first` and `second` say the weights.
extern "C" __attribute__((visibility("default"))) void run_wide(LinearArgs* first, LinearArgs* second, const float* x) {
  const auto groups = divide(*first), hidden = divide(*second);
  first->x = groups.data();
  second->x = first->next = const_cast<uint32_t*>(hidden.data());
  for (int64_t g = 0; g < first->groups; g++) {
    const int64_t begin = first->begin(g), last = first->begin(g + 1) - 1;
    for (int64_t r = begin; r <= last; r += 4) {
      const float* rows[4];
      for (int i = 0; i < 4; i++) rows[i] = x + std::min(r + i, last) * first->K;
      uint32_t* const to = const_cast<uint32_t*>(groups.data()) + g * kernel.steps(Stored::bf16, first->K) * first->stride;
      kernel.arrange(rows, Stored::bf16, first->K, to + (r - begin), first->stride);
    }
  }
  run(*first);
  run(*second);
}
