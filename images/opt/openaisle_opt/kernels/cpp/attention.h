// Attention over the pages of the KV cache, and writing to the pages.
#pragma once

#include <cstdint>

#include "stored.h"

namespace openaisle {

// Keys lie transposed in their pages, [P blocks, H heads, D head size, B tokens], values as
// [P, H, B, D]: both are panels that the innermost loop reads in order. B and D are multiples of 16.
struct Pages {
  Stored stored;
  int64_t H, B, D;
  void* k;
  void* v;
};

constexpr int64_t max_queries = 6;  // the rows of a tile

// Some queries that follow each other in one sequence, for some heads.
struct Queries {
  const float* q;                // [count, heads, D]
  int64_t stride, head_stride;  // from one query to the next and from one head to the next, for q
  int64_t count;                // at most max_queries
  const int32_t* blocks;
  int64_t first_head, heads;
  int64_t context_len;  // what the first query sees, itself included; each next one sees one more
  float* out;           // [count, heads, D]
  int64_t out_stride;
};

// softmax(scale q k^T) v in float32. `scratch` holds as much as attend_scratch(...) says.
void attend(const Pages&, const Queries&, float scale, float* scratch);
inline int64_t attend_scratch(const Pages& pages, int64_t rows, int64_t context_len) {
  return rows * ((context_len + pages.B - 1) / pages.B * pages.B + pages.D + 1);
}

// Rounds a key and a value [D] to the cache's type and puts them to their slot (block * B + place).
void put(const Pages&, const float* k, const float* v, int64_t head, int64_t slot);

}  // namespace openaisle
