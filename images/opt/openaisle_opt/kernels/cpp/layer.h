// The parts of a decoder layer, and the layer as a whole, on plain memory and on several threads.
#pragma once

#include "attention.h"
#include "linear.h"
#include "norm.h"

namespace openaisle {

// The kernel for this CPU.
const LinearKernel& linear_kernel();

// y [T, K]: the rows of a packed weight w [N, K] that the T indices name.
void unpack_rows(const void* w, Stored, int64_t K, int64_t T, const int64_t* indices, float* y);

struct NormWeights {
  const float* weight;  // or null
  const float* bias;    // or null
};

void layer_norm(const NormArgs&);

// x [M, K] comes in rows, and goes through the norm first if there is one. x, groups and stride of the arguments are
// not read.
void linear(LinearArgs, Stored, const float* x, const NormWeights* norm);

// Where the T tokens of a step stand: sequence s has the queries query_starts[s] to
// query_starts[s + 1], the last ones of its context_lens[s] tokens, which lie in the blocks
// block_tables[s].
struct Batch {
  int64_t T, S, max_blocks;
  const int32_t* block_tables;  // [S, max_blocks]
  const int32_t* query_starts;  // [S + 1]
  const int32_t* context_lens;  // [S]
};

// Queries, keys or values: [T, H, D], each head in one run.
struct Heads {
  const float* data;
  int64_t token_stride, head_stride;
};

// Writes the keys and values of T tokens to their slots [T].
void store_kv(const Pages&, int64_t T, Heads k, Heads v, const int64_t* slots);

// out [T, H, D]
void paged_attention(const Pages&, const Batch&, Heads q, float scale, float* out);

struct LinearWeights {
  const void* w;
  Stored stored;
  const float* bias;  // or null
};

// One decoder layer, x [T, E] -> y [T, E], with a hidden layer of F between fc1, ReLU and fc2. Norms
// come before attention and fc1, or else after attention and fc2.
struct LayerArgs {
  int64_t E, F;
  bool norm_before;
  NormWeights attention_norm;
  LinearWeights qkv, out;
  NormWeights final_norm;
  LinearWeights fc1, fc2;
  const int64_t* slots;  // [T]
  float scale;
  const float* x;
  float* y;
};

// Tokens that go through the whole layer together: what lies between its parts is then still in the cache.
constexpr int64_t part_rows = 4 * max_rows;

void decoder_layer(const Pages&, const Batch&, LayerArgs);

}  // namespace openaisle
