// The operators that torch sees: they check shapes, share the work among torch's threads and call
// the kernels for this CPU. Built against torch's stable ABI, so one build fits any later torch.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <vector>

#include "attention.h"
#include "linear.h"
#include "pool.h"

namespace openaisle {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

namespace {

// 0: as many as torch has.
std::atomic<int> num_threads{0};

int threads() {
  const int n = num_threads.load(std::memory_order_relaxed);
  return n ? n : static_cast<int>(torch::stable::get_num_threads());
}

// Fewer multiplications than this are not worth a second thread: it takes some microseconds to help.
constexpr int64_t least_parallel_work = 1 << 18;

// Runs f(unit) for each unit, on several threads if the operation has enough `work`.
template <typename F>
void for_each_unit(int64_t units, int64_t work, const F& f) {
  run_units(units, work < least_parallel_work ? 1 : threads(),
            [](void* context, int64_t unit) { (*static_cast<const F*>(context))(unit); }, const_cast<F*>(&f));
}

const LinearKernel& linear_kernel() {
  static const LinearKernel kernel =
      __builtin_cpu_supports("avx512f") ? avx512::linear_kernel() : avx2::linear_kernel();
  return kernel;
}

Stored stored_type(const Tensor& t) {
  switch (t.scalar_type()) {
    case ScalarType::BFloat16: return Stored::bf16;
    case ScalarType::Half: return Stored::f16;
    case ScalarType::Float: return Stored::f32;
    default: STD_TORCH_CHECK(false, "weights and caches are bfloat16, float16 or float32");
  }
  return Stored::f32;
}

template <typename T>
const T* data(const Tensor& t, ScalarType type, int64_t numel, const char* name) {
  STD_TORCH_CHECK(t.scalar_type() == type && t.is_contiguous() && t.numel() == numel, name,
                  " has the wrong type or size, or is not contiguous");
  return static_cast<const T*>(t.const_data_ptr());
}

const float* floats(const std::optional<Tensor>& t, int64_t numel, const char* name) {
  return t ? data<float>(*t, ScalarType::Float, numel, name) : nullptr;
}

// Checks [T, H, D] float32, each head in one run.
const float* heads(const Tensor& t, const Pages& pages, const char* name) {
  STD_TORCH_CHECK(t.dim() == 3 && t.size(1) == pages.H && t.size(2) == pages.D && t.stride(2) == 1 &&
                      t.scalar_type() == ScalarType::Float,
                  name, " must be float32 [T, H, D] with the heads of the pages");
  return static_cast<const float*>(t.const_data_ptr());
}

Pages pages_of(const Tensor& k_pages, const Tensor& v_pages) {
  STD_TORCH_CHECK(k_pages.dim() == 4 && v_pages.dim() == 4 && k_pages.is_contiguous() && v_pages.is_contiguous() &&
                      k_pages.scalar_type() == v_pages.scalar_type() && k_pages.size(0) == v_pages.size(0) &&
                      k_pages.size(1) == v_pages.size(1) && k_pages.size(2) == v_pages.size(3) &&
                      k_pages.size(3) == v_pages.size(2),
                  "the pages must be contiguous, keys [P, H, D, B] and values [P, H, B, D]");
  const Pages pages{stored_type(k_pages),      v_pages.size(1),           v_pages.size(2), v_pages.size(3),
                    k_pages.mutable_data_ptr(), v_pages.mutable_data_ptr()};
  STD_TORCH_CHECK(pages.B % 16 == 0 && pages.D % 16 == 0 && pages.D <= max_head_size,
                  "the block size and the head size must be multiples of 16, the head size at most 256");
  return pages;
}

}  // namespace

bool is_supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

// How many threads an operation may use; 0: as many as torch.
void set_num_threads(int64_t n) {
  STD_TORCH_CHECK(n >= 0 && n <= 1024, "the number of threads must be 0 to 1024");
  num_threads = static_cast<int>(n);
}

int64_t panel_size() { return linear_kernel().panel; }

// x [M, K] float32, w packed [panels, K, panel]; gives [M, N] float32.
Tensor linear(Tensor x, Tensor w, int64_t N, std::optional<Tensor> bias, std::optional<Tensor> residual, bool relu) {
  const LinearKernel& kernel = linear_kernel();
  STD_TORCH_CHECK(x.dim() == 2, "x must have two dimensions");
  const int64_t M = x.size(0), K = x.size(1), panels = (N + kernel.panel - 1) / kernel.panel;
  STD_TORCH_CHECK(w.is_contiguous() && w.numel() == panels * K * kernel.panel, "the packed weight does not fit x");
  Tensor y = torch::stable::new_empty(x, {M, N});
  const LinearArgs args{M,
                        N,
                        K,
                        data<float>(x, ScalarType::Float, M * K, "x"),
                        w.const_data_ptr(),
                        floats(bias, N, "bias"),
                        floats(residual, M * N, "residual"),
                        static_cast<float*>(y.mutable_data_ptr()),
                        relu};
  if (M == 0) return y;
  const Stored stored = stored_type(w);
  const int64_t row_blocks = (M + max_rows - 1) / max_rows, rows = (M + row_blocks - 1) / row_blocks;
  const int64_t width = std::clamp<int64_t>(panels * row_blocks / (8 * threads()), 1, 8);
  const int64_t column_blocks = (panels + width - 1) / width;
  // Row blocks that share panels follow each other: the panels are then still in the cache.
  for_each_unit(column_blocks * row_blocks, M * N * K, [&](int64_t unit) {
    const int64_t first = unit / row_blocks * width, row = unit % row_blocks * rows;
    if (row < M) kernel.run(args, stored, row, std::min(M, row + rows), first, std::min(panels, first + width));
  });
  return y;
}

// Writes the keys and values [T, H, D] of T tokens to their slots, int64 [T].
void store_kv(Tensor k, Tensor v, Tensor k_pages, Tensor v_pages, Tensor slots) {
  const Pages pages = pages_of(k_pages, v_pages);
  const float* keys = heads(k, pages, "k");
  const float* values = heads(v, pages, "v");
  const int64_t T = k.size(0), num_slots = k_pages.size(0) * pages.B;
  STD_TORCH_CHECK(v.size(0) == T, "k and v must have as many tokens");
  const int64_t* slot = data<int64_t>(slots, ScalarType::Long, T, "slots");
  for (int64_t t = 0; t < T; t++)
    STD_TORCH_CHECK(slot[t] >= 0 && slot[t] < num_slots, "slot ", slot[t], " is outside of the cache");
  for_each_unit(T, 16 * T * pages.H * pages.D, [&](int64_t t) {  // what it costs is to wait for the memory
    for (int64_t h = 0; h < pages.H; h++)
      put(pages, keys + t * k.stride(0) + h * k.stride(1), values + t * v.stride(0) + h * v.stride(1), h, slot[t]);
  });
}

// q [T, H, D]: sequence s has the queries query_starts[s] to query_starts[s + 1], the last ones of
// its context_lens[s] tokens, which lie in the blocks of block_tables[s]. Gives [T, H, D] float32.
Tensor paged_attention(Tensor q, Tensor k_pages, Tensor v_pages, Tensor block_tables, Tensor query_starts,
                       Tensor context_lens, double scale) {
  const Pages pages = pages_of(k_pages, v_pages);
  const float* queries = heads(q, pages, "q");
  STD_TORCH_CHECK(block_tables.dim() == 2, "block_tables must be [S, blocks]");
  const int64_t S = block_tables.size(0), max_blocks = block_tables.size(1), T = q.size(0), P = k_pages.size(0);
  const int32_t* tables = data<int32_t>(block_tables, ScalarType::Int, S * max_blocks, "block_tables");
  const int32_t* starts = data<int32_t>(query_starts, ScalarType::Int, S + 1, "query_starts");
  const int32_t* lens = data<int32_t>(context_lens, ScalarType::Int, S, "context_lens");
  STD_TORCH_CHECK(starts[0] == 0 && starts[S] == T, "query_starts must begin with 0 and end with T");

  struct Group {
    int64_t seq, first, count;
  };
  std::vector<Group> groups;
  int64_t longest = 0, seen = 0;
  for (int64_t s = 0; s < S; s++) {
    const int64_t blocks = (lens[s] + pages.B - 1) / pages.B;
    STD_TORCH_CHECK(starts[s] <= starts[s + 1] && starts[s + 1] - starts[s] <= lens[s] && blocks <= max_blocks,
                    "sequence ", s, " has more queries than tokens, or more tokens than its blocks hold");
    for (int64_t i = 0; i < blocks; i++) {
      const int32_t block = tables[s * max_blocks + i];
      STD_TORCH_CHECK(block >= 0 && block < P, "block ", block, " is outside of the cache");
    }
    for (int64_t t = starts[s]; t < starts[s + 1]; t += max_queries)
      groups.push_back({s, t, std::min<int64_t>(max_queries, starts[s + 1] - t)});
    longest = std::max<int64_t>(longest, lens[s]);
    seen += lens[s] * (starts[s + 1] - starts[s]);
  }

  Tensor out = torch::stable::new_empty(q, {T, pages.H, pages.D});
  float* y = static_cast<float*>(out.mutable_data_ptr());
  const int64_t q_stride = q.stride(0), head_stride = q.stride(1);
  const size_t num_scores = max_queries * score_stride(pages, longest);
  for_each_unit(groups.size() * pages.H, 2 * seen * pages.H * pages.D, [&](int64_t unit) {
    static thread_local std::vector<float> scores;
    if (scores.size() < num_scores) scores.resize(num_scores);
    const Group& g = groups[unit / pages.H];
    const int64_t h = unit % pages.H;
    attend(pages,
           {queries + g.first * q_stride + h * head_stride, q_stride, g.count, tables + g.seq * max_blocks, h,
            lens[g.seq] - (starts[g.seq + 1] - g.first) + 1, y + (g.first * pages.H + h) * pages.D, pages.H * pages.D},
           static_cast<float>(scale), scores.data());
  });
  return out;
}

}  // namespace openaisle

STABLE_TORCH_LIBRARY(openaisle, m) {
  m.def("is_supported() -> bool");
  m.def("panel_size() -> int");
  m.def("set_num_threads(int n) -> ()");
  m.def("linear(Tensor x, Tensor w, int N, Tensor? bias, Tensor? residual, bool relu) -> Tensor");
  m.def("store_kv(Tensor k, Tensor v, Tensor(a!) k_pages, Tensor(b!) v_pages, Tensor slots) -> ()");
  m.def(
      "paged_attention(Tensor q, Tensor k_pages, Tensor v_pages, Tensor block_tables, Tensor query_starts, "
      "Tensor context_lens, float scale) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(openaisle, CompositeExplicitAutograd, m) {
  m.impl("is_supported", TORCH_BOX(&openaisle::is_supported));
  m.impl("panel_size", TORCH_BOX(&openaisle::panel_size));
  m.impl("set_num_threads", TORCH_BOX(&openaisle::set_num_threads));
}

STABLE_TORCH_LIBRARY_IMPL(openaisle, CPU, m) {
  m.impl("linear", TORCH_BOX(&openaisle::linear));
  m.impl("store_kv", TORCH_BOX(&openaisle::store_kv));
  m.impl("paged_attention", TORCH_BOX(&openaisle::paged_attention));
}
