// The linear kernel's code for AVX-512, compiled for AVX2: the same arithmetic at twice the width, on
// CPUs that most machines have.
#include "linear.h"

extern "C" __attribute__((visibility("default"))) void run_wide(const openaisle::LinearArgs* args, int64_t last) {
  openaisle::wide::linear_kernel().run(*args, openaisle::Stored::bf16, 0, args->M, 0, last);
}
