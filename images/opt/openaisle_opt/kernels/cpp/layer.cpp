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

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Whose memory it is.
enum User { of_inputs, of_norm, of_attention, of_scores, of_hidden };

// A thread's memory that is used again.
template <typename Number, User user>
Number* scratch(int64_t size) {
  static thread_local std::vector<Number> numbers;
  if (numbers.size() < static_cast<size_t>(size)) numbers.resize(size);
  return numbers.data();
}

// Divides M rows into groups.
void divide(LinearArgs& args) {
  args.groups = divide_up(args.M, linear_kernel().tile_rows);
  args.stride = args.M == 1 ? 1 : divide_up(divide_up(args.M, args.groups), 4) * 4;
}

// The size of one group of x [.., K].
int64_t group_size(const LinearArgs& args, Stored stored, int64_t K) {
  return linear_kernel().steps(stored, K) * args.stride;
}

// x [M, K], normed if there is a norm, as groups.
const uint32_t* arranged(const LinearArgs& args, Stored stored, const float* x, const NormWeights* norm) {
  const int64_t K = args.K, size = group_size(args, stored, K);
  uint32_t* const to = scratch<uint32_t, of_inputs>(args.groups * size);
  for_each_unit(args.groups, (norm ? 8 : 1) * args.M * K, [&](int64_t group) {
    const int64_t first = args.begin(group), last = args.begin(group + 1) - 1;
    for (int64_t r = first; r <= last; r += 4) {
      const float* rows[4];
      for (int i = 0; i < 4; i++) {
        rows[i] = x + std::min(r + i, last) * K;
        if (!norm || r + i > last) continue;
        float* const normed = scratch<float, of_norm>(4 * K) + i * K;
        norm_row({1, K, rows[i], norm->weight, norm->bias, normed}, 0);
        rows[i] = normed;
      }
      linear_kernel().arrange(rows, stored, K, to + group * size + (r - first), args.stride);
    }
  });
  return to;
}

// The products, from x in groups.
void multiply(const LinearArgs& args, Stored stored) {
  const LinearKernel& kernel = linear_kernel();
  const int64_t panels = divide_up(args.N, kernel.panel), groups = args.groups;
  const int64_t row_blocks = divide_up(groups, max_rows / kernel.tile_rows), height = divide_up(groups, row_blocks);
  const int64_t width = std::clamp<int64_t>(panels * row_blocks / (8 * threads()), 1, 8);
  const int64_t column_blocks = divide_up(panels, width);
  // Row blocks that share panels follow each other: the panels are then still in the cache.
  for_each_unit(column_blocks * row_blocks, args.M * args.N * args.K, [&](int64_t unit) {
    const int64_t first = unit / row_blocks * width, group = unit % row_blocks * height;
    if (group < groups)
      kernel.run(args, stored, group, std::min(groups, group + height), first, std::min(panels, first + width));
  });
}

}  // namespace

void linear(LinearArgs args, Stored stored, const float* x, const NormWeights* norm) {
  if (args.M == 0) return;
  divide(args);
  args.x = arranged(args, stored, x, norm);
  multiply(args, stored);
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
  const int64_t size = attend_scratch(pages, std::max(max_queries, most_heads), longest);
  for_each_unit(units.size(), 2 * seen * pages.H * pages.D, [&](int64_t unit) {
    const Unit& u = units[unit];
    attend(pages,
           {q.data + u.first * q.token_stride + u.first_head * q.head_stride, q.token_stride, q.head_stride, u.count,
            batch.block_tables + u.seq * batch.max_blocks, u.first_head, u.heads,
            lens[u.seq] - (starts[u.seq + 1] - u.first) + 1, out + (u.first * pages.H + u.first_head) * pages.D,
            pages.H * pages.D},
           scale, scratch<float, of_scores>(size));
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

void part_of_layer(const Pages& pages, const Batch& batch, const LayerArgs& args) {
  const int64_t T = batch.T, E = args.E, F = args.F;
  const NormWeights *norm_attention = args.norm_before ? &args.attention_norm : nullptr,
                    *norm_mlp = args.norm_before ? &args.final_norm : nullptr;
  float* const qkv = scratch<float, of_attention>(4 * T * E);
  float* const attended = qkv + 3 * T * E;
  float* const y = args.y;
  const auto part = [&](int i) { return Heads{qkv + i * E, 3 * E, pages.D}; };
  const auto given = [&](int64_t N, int64_t K, const LinearWeights& l, const float* residual, float* to) {
    return LinearArgs{T, N, K, nullptr, 0, 0, l.w, l.bias, residual, to, nullptr, false};
  };

  linear(given(3 * E, E, args.qkv, nullptr, qkv), args.qkv.stored, args.x, norm_attention);
  store_kv(pages, T, part(1), part(2), args.slots);
  paged_attention(pages, batch, part(0), args.scale, attended);
  linear(given(E, E, args.out, args.x, y), args.out.stored, attended, nullptr);
  if (!args.norm_before) layer_norm({T, E, y, args.attention_norm.weight, args.attention_norm.bias, y});

  LinearArgs fc1 = given(F, E, args.fc1, nullptr, nullptr), fc2 = given(E, F, args.fc2, y, y);
  divide(fc1);
  divide(fc2);
  fc1.relu = true;
  fc2.x = fc1.next = scratch<uint32_t, of_hidden>(fc2.groups * group_size(fc2, args.fc2.stored, F));
  linear(fc1, args.fc1.stored, y, norm_mlp);
  multiply(fc2, args.fc2.stored);
  if (!args.norm_before) layer_norm({T, E, y, args.final_norm.weight, args.final_norm.bias, y});
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
