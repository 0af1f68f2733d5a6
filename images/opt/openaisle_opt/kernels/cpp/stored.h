// The types in which weights and cache entries are stored. Sums are always float32.
#pragma once

#include <cstdint>

namespace openaisle {

enum class Stored { bf16, f16, f32 };

inline int64_t size_of(Stored stored) { return stored == Stored::f32 ? 4 : 2; }

}  // namespace openaisle
