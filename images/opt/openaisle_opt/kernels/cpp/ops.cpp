// The operators that torch sees: they check shapes and call what works on plain memory. Built against
// torch's stable ABI, so one build fits any later torch.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <atomic>
#include <optional>
#include <vector>

#include "layer.h"
#include "parallel.h"

namespace openaisle {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

namespace {

// 0: as many as torch has.
std::atomic<int> num_threads{0};

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
Heads heads(const Tensor& t, const Pages& pages, const char* name) {
  STD_TORCH_CHECK(t.dim() == 3 && t.size(1) == pages.H && t.size(2) == pages.D && t.stride(2) == 1 &&
                      t.scalar_type() == ScalarType::Float,
                  name, " must be float32 [T, H, D] with the heads of the pages");
  return {static_cast<const float*>(t.const_data_ptr()), t.stride(0), t.stride(1)};
}

LinearWeights linear_weights(const Tensor& w, const std::optional<Tensor>& bias, int64_t N, int64_t K) {
  const LinearKernel& kernel = linear_kernel();
  const Stored stored = stored_type(w);
  const int64_t panel = kernel.panel, panels = (N + panel - 1) / panel;
  STD_TORCH_CHECK(w.is_contiguous() && w.numel() == panels * kernel.steps(stored, K) * kernel.depth(stored) * panel,
                  "the packed weight does not fit x");
  return {w.const_data_ptr(), stored, floats(bias, N, "bias")};
}

Pages pages_of(const Tensor& k_pages, const Tensor& v_pages) {
  STD_TORCH_CHECK(k_pages.dim() == 4 && v_pages.dim() == 4 && k_pages.is_contiguous() && v_pages.is_contiguous() &&
                      k_pages.scalar_type() == v_pages.scalar_type() && k_pages.size(0) == v_pages.size(0) &&
                      k_pages.size(1) == v_pages.size(1) && k_pages.size(2) == v_pages.size(3) &&
                      k_pages.size(3) == v_pages.size(2),
                  "the pages must be contiguous, keys [P, H, D, B] and values [P, H, B, D]");
  const Pages pages{stored_type(k_pages),      v_pages.size(1),           v_pages.size(2), v_pages.size(3),
                    k_pages.mutable_data_ptr(), v_pages.mutable_data_ptr()};
  STD_TORCH_CHECK(pages.B % 16 == 0 && pages.D % 16 == 0,
                  "the block size and the head size must be multiples of 16");
  return pages;
}

// Checks int64 [T], each in 0 to `end` (exclusive).
const int64_t* indices_below(int64_t end, const Tensor& t, int64_t T, const char* name, const char* where) {
  const int64_t* index = data<int64_t>(t, ScalarType::Long, T, name);
  for (int64_t i = 0; i < T; i++)
    STD_TORCH_CHECK(index[i] >= 0 && index[i] < end, name, " ", index[i], " is outside of ", where);
  return index;
}

const int64_t* slots_of(const Tensor& slots, int64_t T, const Tensor& k_pages) {
  return indices_below(k_pages.size(0) * k_pages.size(3), slots, T, "slot", "the cache");
}

Batch batch_of(int64_t T, const Tensor& k_pages, const Tensor& block_tables, const Tensor& query_starts,
               const Tensor& context_lens) {
  STD_TORCH_CHECK(block_tables.dim() == 2, "block_tables must be [S, blocks]");
  const int64_t S = block_tables.size(0), max_blocks = block_tables.size(1), P = k_pages.size(0), B = k_pages.size(3);
  const int32_t* tables = data<int32_t>(block_tables, ScalarType::Int, S * max_blocks, "block_tables");
  const int32_t* starts = data<int32_t>(query_starts, ScalarType::Int, S + 1, "query_starts");
  const int32_t* lens = data<int32_t>(context_lens, ScalarType::Int, S, "context_lens");
  STD_TORCH_CHECK(starts[0] == 0 && starts[S] == T, "query_starts must begin with 0 and end with T");
  for (int64_t s = 0; s < S; s++) {
    const int64_t blocks = (lens[s] + B - 1) / B;
    STD_TORCH_CHECK(starts[s] <= starts[s + 1] && starts[s + 1] - starts[s] <= lens[s] && blocks <= max_blocks,
                    "sequence ", s, " has more queries than tokens, or more tokens than its blocks hold");
    for (int64_t i = 0; i < blocks; i++) {
      const int32_t block = tables[s * max_blocks + i];
      STD_TORCH_CHECK(block >= 0 && block < P, "block ", block, " is outside of the cache");
    }
  }
  return {T, S, max_blocks, tables, starts, lens};
}

}  // namespace

int threads() {
  const int n = num_threads.load(std::memory_order_relaxed);
  return n ? n : static_cast<int>(torch::stable::get_num_threads());
}

namespace ops {

bool is_supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

// How many threads an operation may use; 0: as many as torch.
void set_num_threads(int64_t n) {
  STD_TORCH_CHECK(n >= 0 && n <= 1024, "the number of threads must be 0 to 1024");
  num_threads = static_cast<int>(n);
}

int64_t panel_size() { return linear_kernel().panel; }

// Whether bfloat16 weights are packed in pairs.
bool has_pairs() { return linear_kernel().pairs; }

// x [M, K] float32, w packed; gives [M, N] float32.
Tensor linear(Tensor x, Tensor w, int64_t N, std::optional<Tensor> bias, std::optional<Tensor> residual, bool relu) {
  STD_TORCH_CHECK(x.dim() == 2, "x must have two dimensions");
  const int64_t M = x.size(0), K = x.size(1);
  const LinearWeights weights = linear_weights(w, bias, N, K);
  Tensor y = torch::stable::new_empty(x, {M, N});
  openaisle::linear({M, N, K, nullptr, 0, 0, weights.w, weights.bias, floats(residual, M * N, "residual"),
                     static_cast<float*>(y.mutable_data_ptr()), nullptr, relu},
                    weights.stored, data<float>(x, ScalarType::Float, M * K, "x"), nullptr);
  return y;
}

// w packed from [N, K], indices int64 [T]; gives those rows, [T, K] float32.
Tensor unpack_rows(Tensor w, int64_t N, int64_t K, Tensor indices) {
  STD_TORCH_CHECK(indices.dim() == 1, "indices must have one dimension");
  const int64_t T = indices.size(0);
  const LinearWeights weights = linear_weights(w, std::nullopt, N, K);
  const int64_t* rows = indices_below(N, indices, T, "row", "the weight");
  Tensor y = torch::stable::empty({T, K}, ScalarType::Float);
  openaisle::unpack_rows(weights.w, weights.stored, K, T, rows, static_cast<float*>(y.mutable_data_ptr()));
  return y;
}

// Writes the keys and values [T, H, D] of T tokens to their slots, int64 [T].
void store_kv(Tensor k, Tensor v, Tensor k_pages, Tensor v_pages, Tensor slots) {
  const Pages pages = pages_of(k_pages, v_pages);
  const int64_t T = k.size(0);
  STD_TORCH_CHECK(v.size(0) == T, "k and v must have as many tokens");
  const Heads keys = heads(k, pages, "k"), values = heads(v, pages, "v");
  openaisle::store_kv(pages, T, keys, values, slots_of(slots, T, k_pages));
}

// q [T, H, D] -> [T, H, D] float32
Tensor paged_attention(Tensor q, Tensor k_pages, Tensor v_pages, Tensor block_tables, Tensor query_starts,
                       Tensor context_lens, double scale) {
  const Pages pages = pages_of(k_pages, v_pages);
  const Heads queries = heads(q, pages, "q");
  const Batch batch = batch_of(q.size(0), k_pages, block_tables, query_starts, context_lens);
  Tensor out = torch::stable::new_empty(q, {batch.T, pages.H, pages.D});
  openaisle::paged_attention(pages, batch, queries, static_cast<float>(scale), static_cast<float*>(out.mutable_data_ptr()));
  return out;
}

// x [T, E] -> [T, E] float32. Weight and bias of attention's norm, q, k and v, out, the final norm, fc1, fc2.
Tensor decoder_layer(Tensor x, std::vector<std::optional<Tensor>> weights, int64_t F, bool norm_before, Tensor k_pages,
                     Tensor v_pages, Tensor slots, Tensor block_tables, Tensor query_starts, Tensor context_lens,
                     double scale) {
  const Pages pages = pages_of(k_pages, v_pages);
  const int64_t T = x.size(0), E = pages.H * pages.D;
  const Batch batch = batch_of(T, k_pages, block_tables, query_starts, context_lens);
  STD_TORCH_CHECK(weights.size() == 12, "a layer has two norms and four linear parts");
  const auto norm = [&](int i) { return NormWeights{floats(weights[i], E, "weight"), floats(weights[i + 1], E, "bias")}; };
  const auto part = [&](int i, int64_t N, int64_t K) { return linear_weights(*weights[i], weights[i + 1], N, K); };
  Tensor y = torch::stable::new_empty(x, {T, E});
  openaisle::decoder_layer(
      pages, batch,
      {E, F, norm_before, norm(0), part(2, 3 * E, E), part(4, E, E), norm(6), part(8, F, E), part(10, E, F),
       slots_of(slots, T, k_pages), static_cast<float>(scale), data<float>(x, ScalarType::Float, T * E, "x"),
       static_cast<float*>(y.mutable_data_ptr())});
  return y;
}

}  // namespace ops

}  // namespace openaisle

STABLE_TORCH_LIBRARY(openaisle, m) {
  m.def("is_supported() -> bool");
  m.def("panel_size() -> int");
  m.def("has_pairs() -> bool");
  m.def("set_num_threads(int n) -> ()");
  m.def("linear(Tensor x, Tensor w, int N, Tensor? bias, Tensor? residual, bool relu) -> Tensor");
  m.def("unpack_rows(Tensor w, int N, int K, Tensor indices) -> Tensor");
  m.def("store_kv(Tensor k, Tensor v, Tensor(a!) k_pages, Tensor(b!) v_pages, Tensor slots) -> ()");
  m.def(
      "paged_attention(Tensor q, Tensor k_pages, Tensor v_pages, Tensor block_tables, Tensor query_starts, "
      "Tensor context_lens, float scale) -> Tensor");
  m.def(
      "decoder_layer(Tensor x, Tensor?[] weights, int F, bool norm_before, Tensor(a!) k_pages, "
      "Tensor(b!) v_pages, Tensor slots, Tensor block_tables, Tensor query_starts, Tensor context_lens, float scale) "
      "-> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(openaisle, CompositeExplicitAutograd, m) {
  m.impl("is_supported", TORCH_BOX(&openaisle::ops::is_supported));
  m.impl("panel_size", TORCH_BOX(&openaisle::ops::panel_size));
  m.impl("has_pairs", TORCH_BOX(&openaisle::ops::has_pairs));
  m.impl("set_num_threads", TORCH_BOX(&openaisle::ops::set_num_threads));
}

STABLE_TORCH_LIBRARY_IMPL(openaisle, CPU, m) {
  m.impl("linear", TORCH_BOX(&openaisle::ops::linear));
  m.impl("unpack_rows", TORCH_BOX(&openaisle::ops::unpack_rows));
  m.impl("store_kv", TORCH_BOX(&openaisle::ops::store_kv));
  m.impl("paged_attention", TORCH_BOX(&openaisle::ops::paged_attention));
  m.impl("decoder_layer", TORCH_BOX(&openaisle::ops::decoder_layer));
}
