// Paged attention and page writes for AVX2; compiled with ISA=avx2 and WIDTH=8.
#include "attention.h"

#include <cmath>

#include "tile.h"

namespace openaisle {

using namespace ISA;

namespace {

static_assert(max_queries <= tile_rows && panel == 16);

ALWAYS_INLINE Floats max(Floats a, Floats b) { return a > b ? a : b; }

// e^x for x <= 0, within 2 units in the last place; 0 below -87.
ALWAYS_INLINE Floats exp_negative(Floats x) {
  const Floats bounded = max(x, broadcast(-87.0f));
  const Floats shift = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const Floats n = (bounded * 1.44269504f + shift) - shift;
  const Floats r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = broadcast(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Ints exponent = (__builtin_convertvector(n, Ints) + 127) << 23;
  Floats power;
  memcpy(&power, &exponent, sizeof power);
  return x < -87.0f ? Floats{} : p * power;
}

// Turns n scores into weights e^(score - largest) and returns their sum; what follows them up to
// `end`, a multiple of W, becomes 0.
float weigh(float* scores, int64_t n, int64_t end) {
  for (int64_t i = n; i < end; i++) scores[i] = -INFINITY;
  Floats tops = broadcast(-INFINITY), sums = {};
  for (int64_t i = 0; i < n; i += W) tops = max(tops, load(scores + i));
  float top = -INFINITY;
  for (int i = 0; i < W; i++) top = top > tops[i] ? top : tops[i];
  for (int64_t i = 0; i < end; i += W) {
    const Floats e = exp_negative(load(scores + i) - top);
    store(scores + i, e);
    sums += e;
  }
  float sum = 0;
  for (int i = 0; i < W; i++) sum += sums[i];
  return sum;
}

template <typename Type>
void store_in_order(float* to, const float* sums, float factor) {
  Floats a = load(sums) * factor, b = load(sums + W) * factor;
  Type::in_order(a, b);
  store(to, a);
  store(to + W, b);
}

template <typename Type>
void attend_typed(const Pages& pages, const Queries& queries, float scale, float* scores) {
  typedef typename Type::Stored Number;
  const int64_t B = pages.B, D = pages.D, R = queries.count;
  const int64_t length = queries.context_len + R - 1;  // what the last query sees
  const int64_t num_blocks = (length + B - 1) / B, stride = num_blocks * B;
  const auto page = [&](const void* all, int64_t i, int64_t head) {
    return static_cast<const Number*>(all) + (queries.blocks[i] * pages.H + queries.first_head + head) * B * D;
  };

  // The heads within the blocks: so memory is read in the order in which it lies.
  alignas(32) float products[max_queries * panel];
  const int64_t most = R == 1 ? 2 : 1;  // one query needs two pages at a time to keep the units busy
  for (int64_t i = 0, count; i < num_blocks; i += count) {
    count = num_blocks - i < most ? 1 : most;
    for (int64_t head = 0; head < queries.heads; head++) {
      const float* q = queries.q + head * queries.head_stride;
      const Number* keys = page(pages.k, i, head);
      for (int64_t t = 0; t < B; t += panel) {
        memset(products, 0, sizeof(float) * R * count * panel);
        if (count == 2)
          row_tiles<Type>[1](q, queries.stride, keys + t, page(pages.k, i + 1, head) - keys, B, D, products);
        else
          tiles<Type, by_row>[R - 1](q, queries.stride, keys + t, 0, B, D, products);
        for (int64_t r = 0; r < R * count; r++)
          store_in_order<Type>(scores + (head * R + r % R) * stride + (i + r / R) * B + t, products + r * panel, scale);
      }
    }
  }

  float* const sums = scores + queries.heads * R * stride;
  float* const factors = sums + queries.heads * R * D;
  for (int64_t row = 0; row < queries.heads * R; row++)
    factors[row] = 1.0f / weigh(scores + row * stride, queries.context_len + row % R, stride);

  memset(sums, 0, sizeof(float) * queries.heads * R * D);
  for (int64_t i = 0; i < num_blocks; i++) {
    const int64_t tokens = length - i * B < B ? length - i * B : B;
    for (int64_t head = 0; head < queries.heads; head++) {
      const float* weights = scores + head * R * stride + i * B;
      const Number* values = page(pages.v, i, head);
      float* const to = sums + head * R * D;
      if (R == 1)
        for (int64_t d = 0, count; d < D; d += count * panel) {
          count = (D - d) / panel < tile_panels ? (D - d) / panel : tile_panels;
          row_tiles<Type>[count - 1](weights, stride, values + d, panel, D, tokens, to + d);
        }
      else
        for (int64_t d = 0; d < D; d += panel)
          tiles<Type, by_row>[R - 1](weights, stride, values + d, 0, D, tokens, to + d * R);
    }
  }
  for (int64_t row = 0; row < queries.heads * R; row++) {
    const int64_t head = row / R, r = row % R;
    for (int64_t d = 0; d < D; d += panel)
      store_in_order<Type>(queries.out + r * queries.out_stride + head * D + d, sums + head * R * D + d * R + r * panel,
                           factors[row]);
  }
}

template <typename Type>
void put_typed(const Pages& pages, const float* k, const float* v, int64_t head, int64_t slot) {
  typedef typename Type::Stored Number;
  const int64_t page = (slot / pages.B * pages.H + head) * pages.B * pages.D, place = slot % pages.B;
  Number* keys = static_cast<Number*>(pages.k) + page + place;
  Number* values = static_cast<Number*>(pages.v) + page + place * pages.D;
  for (int64_t d = 0; d < pages.D; d++) keys[d * pages.B] = Type::round(k[d]);
  for (int64_t d = 0; d < pages.D; d++) values[d] = Type::round(v[d]);
}

}  // namespace

void attend(const Pages& pages, const Queries& queries, float scale, float* scratch) {
  switch (pages.stored) {
    case Stored::bf16: return attend_typed<Bf16>(pages, queries, scale, scratch);
    case Stored::f16: return attend_typed<F16>(pages, queries, scale, scratch);
    case Stored::f32: return attend_typed<F32>(pages, queries, scale, scratch);
  }
}

void put(const Pages& pages, const float* k, const float* v, int64_t head, int64_t slot) {
  switch (pages.stored) {
    case Stored::bf16: return put_typed<Bf16>(pages, k, v, head, slot);
    case Stored::f16: return put_typed<F16>(pages, k, v, head, slot);
    case Stored::f32: return put_typed<F32>(pages, k, v, head, slot);
  }
}

}  // namespace openaisle
