// How an operation's units are shared among threads.
#pragma once

#include "pool.h"

namespace openaisle {

// How many threads an operation may use.
int threads();

// Fewer multiplications than this are not worth a second thread: it takes some microseconds to help.
constexpr int64_t least_parallel_work = 1 << 18;

// Runs f(unit) for each unit, on several threads if the operation has enough `work`.
template <typename F>
void for_each_unit(int64_t units, int64_t work, const F& f) {
  run_units(units, work < least_parallel_work ? 1 : threads(),
            [](void* context, int64_t unit) { (*static_cast<const F*>(context))(unit); }, const_cast<F*>(&f));
}

}  // namespace openaisle
