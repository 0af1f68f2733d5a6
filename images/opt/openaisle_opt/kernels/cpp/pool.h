// Threads that help with an operation, and never hold it up by being late.
#pragma once

#include <cstdint>

namespace openaisle {

// Calls f(context, unit) once for each unit below `units`, on the calling thread and up to
// `threads` - 1 others, and returns when all are done.
//
// Unlike with OpenMP, the caller waits only for units that another thread has begun. A thread that
// gets no core in time (the server's, another pod's, under a CPU limit) is done without: OpenMP's
// barriers waited for it, and one busy core made a step fifty times longer.
void run_units(int64_t units, int threads, void (*f)(void*, int64_t), void* context);

}  // namespace openaisle
