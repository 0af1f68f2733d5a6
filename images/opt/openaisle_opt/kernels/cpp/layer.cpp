#include "layer.h"

#include <algorithm>
#include <vector>

#include "parallel.h"

namespace openaisle {

const LinearKernel& linear_kernel() {
  static const LinearKernel kernel = __builtin_cpu_supports("avx512bf16") ? avx512bf16::linear_kernel()
                                     : __builtin_cpu_supports("avx512f") ? avx512::linear_kernel()
                                                                         : avx2::linear_kernel();
  return kernel;
}

namespace {

// x [M, K] as rows of bfloat16, in memory that is used again.
const uint16_t* narrowed(const float* x, int64_t M, int64_t K) {
  static thread_local std::vector<uint16_t> rows;
  const LinearKernel& kernel = linear_kernel();
  const int64_t size = kernel.depth(Stored::bf16, K);
  if (rows.size() < static_cast<size_t>(M * size)) rows.resize(M * size);
  uint16_t* const to = rows.data();
  for_each_unit(M, M * K, [&](int64_t row) { kernel.narrow(x + row * K, K, to + row * size); });
  return to;
}

}  // namespace

void linear(LinearArgs args, Stored stored) {
  const LinearKernel& kernel = linear_kernel();
  if (kernel.pairs_up(stored)) args.x = narrowed(static_cast<const float*>(args.x), args.M, args.K);
  const int64_t M = args.M, panels = (args.N + kernel.panel - 1) / kernel.panel;
  if (M == 0) return;
  const int64_t row_blocks = (M + max_rows - 1) / max_rows, rows = (M + row_blocks - 1) / row_blocks;
  const int64_t width = std::clamp<int64_t>(panels * row_blocks / (8 * threads()), 1, 8);
  const int64_t column_blocks = (panels + width - 1) / width;
  // Row blocks that share panels follow each other: the panels are then still in the cache.
  for_each_unit(column_blocks * row_blocks, M * args.N * args.K, [&](int64_t unit) {
    const int64_t first = unit / row_blocks * width, row = unit % row_blocks * rows;
    if (row < M) kernel.run(args, stored, row, std::min(M, row + rows), first, std::min(panels, first + width));
  });
}

void unpack_rows(const void* w, Stored stored, int64_t K, int64_t T, const int64_t* indices, float* y) {
  for_each_unit(T, 8 * T * K, [&](int64_t t) { linear_kernel().unpack(w, stored, K, indices[t], y + t * K); });
}

void layer_norm(const NormArgs& args) {
  for_each_unit(args.T, 8 * args.T * args.E, [&](int64_t row) { norm_row(args, row); });
}

void store_kv(const Pages& pages, int64_t T, Heads k, Heads v, const int64_t* slots) {
  for_each_unit(T, 16 * T * pages.H * pages.D, [&](int64_t t) {  // what it costs is to wait for the memory
    for (int64_t h = 0; h < pages.H; h++)
      put(pages, k.data + t * k.token_stride + h * k.head_stride, v.data + t * v.token_stride + h * v.head_stride, h,
          slots[t]);
  });
}

void paged_attention(const Pages& pages, const Batch& batch, Heads q, float scale, float* out) {
  const int32_t *starts = batch.query_starts, *lens = batch.context_lens;
  // A single query takes many heads at a time, since it waits for memory, which is fastest read in order. Queries of
  // a prompt find theirs in the cache.
  const int64_t most_heads = std::clamp<int64_t>(pages.H * batch.S / (4 * threads()), 1, pages.H);
  struct Unit {
    int64_t seq, first, count, first_head, heads;
  };
  std::vector<Unit> units;
  int64_t longest = 0, seen = 0;
  for (int64_t s = 0; s < batch.S; s++) {
    const int64_t heads = starts[s + 1] - starts[s] == 1 ? most_heads : 1;
    for (int64_t t = starts[s]; t < starts[s + 1]; t += max_queries)
      for (int64_t h = 0; h < pages.H; h += heads)
        units.push_back({s, t, std::min<int64_t>(max_queries, starts[s + 1] - t), h, std::min(heads, pages.H - h)});
    longest = std::max<int64_t>(longest, lens[s]);
    seen += lens[s] * (starts[s + 1] - starts[s]);
  }
  const size_t size = attend_scratch(pages, std::max(max_queries, most_heads), longest);
  for_each_unit(units.size(), 2 * seen * pages.H * pages.D, [&](int64_t unit) {
    static thread_local std::vector<float> scratch;
    if (scratch.size() < size) scratch.resize(size);
    const Unit& u = units[unit];
    attend(pages,
           {q.data + u.first * q.token_stride + u.first_head * q.head_stride, q.token_stride, q.head_stride, u.count,
            batch.block_tables + u.seq * batch.max_blocks, u.first_head, u.heads,
            lens[u.seq] - (starts[u.seq + 1] - u.first) + 1, out + (u.first * pages.H + u.first_head) * pages.D,
            pages.H * pages.D},
           scale, scratch.data());
  });
}

namespace {

// The tokens `begin` to `end` of a batch as one of its own. The vectors keep its numbers.
Batch part_of(const Batch& batch, int64_t begin, int64_t end, std::vector<int32_t>& starts,
              std::vector<int32_t>& lens) {
  const int32_t* all = batch.query_starts;
  const int64_t first = std::upper_bound(all, all + batch.S, begin) - all - 1;
  starts.assign(1, 0);
  lens.clear();
  for (int64_t s = first; s < batch.S && all[s] < end; s++) {
    const int64_t stop = std::min<int64_t>(all[s + 1], end);
    starts.push_back(stop - begin);
    lens.push_back(batch.context_lens[s] - (all[s + 1] - stop));
  }
  const int64_t S = lens.size(), width = batch.max_blocks;
  return {end - begin, S, width, batch.block_tables + first * width, starts.data(), lens.data()};
}

// Memory for what lies between the parts of a layer, kept for the next one.
float* scratch(size_t size) {
  static thread_local std::vector<float> numbers;
  if (numbers.size() < size) numbers.resize(size);
  return numbers.data();
}

void part_of_layer(const Pages& pages, const Batch& batch, const LayerArgs& args) {
  const int64_t T = batch.T, E = args.E, F = args.F;
  const bool before = args.norm_before;
  float* const normed = scratch(T * (5 * E + F));
  float* const qkv = normed + T * E;
  float* const attended = qkv + 3 * T * E;
  float* const hidden = attended + T * E;
  const float* const x = args.x;
  float* const y = args.y;

  const auto norm = [&](const float* from, NormWeights n, float* to) {
    layer_norm({T, E, from, n.weight, n.bias, to});
    return to;
  };
  const auto project = [&](const float* from, int64_t K, LinearWeights l, const float* residual, float* to, int64_t N,
                           bool relu) { linear({T, N, K, from, l.w, l.bias, residual, to, relu}, l.stored); };
  const auto part = [&](int i) { return Heads{qkv + i * E, 3 * E, pages.D}; };

  project(before ? norm(x, args.attention_norm, normed) : x, E, args.qkv, nullptr, qkv, 3 * E, false);
  store_kv(pages, T, part(1), part(2), args.slots);
  paged_attention(pages, batch, part(0), args.scale, attended);
  project(attended, E, args.out, x, y, E, false);
  if (!before) norm(y, args.attention_norm, y);

  project(before ? norm(y, args.final_norm, normed) : y, E, args.fc1, nullptr, hidden, F, true);
  project(hidden, F, args.fc2, y, y, E, false);
  if (!before) norm(y, args.final_norm, y);
}

}  // namespace

void decoder_layer(const Pages& pages, const Batch& batch, LayerArgs args) {
  std::vector<int32_t> starts, lens;
  for (int64_t begin = 0; begin < batch.T; begin += part_rows) {
    const Batch part = part_of(batch, begin, std::min(batch.T, begin + part_rows), starts, lens);
    part_of_layer(pages, part, args);
    args.x += part.T * args.E;
    args.y += part.T * args.E;
    args.slots += part.T;
  }
}

}  // namespace openaisle
