// The linear layer for one instruction set; compiled once for each, with ISA and WIDTH given.
#include "linear.h"

#include "tile.h"

namespace openaisle::ISA {

namespace {

// So much of a panel stays in the first-level cache while the tiles of rows pass over it.
constexpr int64_t block_k = 256;

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Writes one row of a panel: bias, ReLU and residual, and no column beyond the last.
template <typename Type>
void finish(const LinearArgs& args, int64_t row, int64_t column, float* sums) {
  Floats halves[] = {load(sums), load(sums + W)};
  Type::in_order(halves[0], halves[1]);
  const int64_t n = least(args.N - column, panel);
  float* y = args.y + row * args.N + column;
  const float* residual = args.residual ? args.residual + row * args.N + column : nullptr;
  if (n == panel) {
    for (int i = 0; i < 2; i++) {
      Floats v = halves[i];
      if (args.bias) v += load(args.bias + column + i * W);
      if (args.relu) v = v < 0.0f ? Floats{} : v;
      if (residual) v += load(residual + i * W);
      store(y + i * W, v);
    }
    return;
  }
  memcpy(sums, halves, sizeof halves);
  for (int64_t i = 0; i < n; i++) {
    float v = sums[i];
    if (args.bias) v += args.bias[column + i];
    if (args.relu) v = v < 0.0f ? 0.0f : v;
    if (residual) v += residual[i];
    y[i] = v;
  }
}

// Steps that a row of K inputs takes, which is also how many inputs lie in a row of x.
template <typename Type>
int64_t steps_of(int64_t K) {
  return (K + Type::depth - 1) / Type::depth;
}

// One row: several panels at a time.
template <typename Type>
void run_row(const LinearArgs& args, int64_t row, int64_t first, int64_t last) {
  alignas(64) float sums[tile_panels * panel];
  const int64_t steps = steps_of<Type>(args.K), step_size = Type::depth * panel;
  const auto* x = static_cast<const typename Type::Input*>(args.x) + row * steps;
  const auto* w = static_cast<const typename Type::Stored*>(args.w);
  for (int64_t p = first, count; p < last; p += count) {
    count = least(last - p, tile_panels);
    memset(sums, 0, sizeof sums);
    row_tiles<Type>[count - 1](x, steps, w + p * steps * step_size, steps * step_size, step_size, steps, sums);
    for (int64_t i = 0; i < count; i++) finish<Type>(args, row, (p + i) * panel, sums + i * panel);
  }
}

template <typename Type>
void run_rows(const LinearArgs& args, int64_t row, int64_t rows, int64_t first, int64_t last) {
  alignas(64) float sums[max_rows * panel];
  const int64_t steps = steps_of<Type>(args.K), step_size = Type::depth * panel, block = block_k / Type::depth;
  const auto* x = static_cast<const typename Type::Input*>(args.x) + row * steps;
  const auto* w = static_cast<const typename Type::Stored*>(args.w);
  const int64_t num_tiles = (rows + tile_rows - 1) / tile_rows;
  for (int64_t p = first; p < last; p++) {
    memset(sums, 0, sizeof(float) * rows * panel);
    for (int64_t i = 0; i < steps; i += block) {
      for (int64_t t = 0, done = 0, count; t < num_tiles; t++, done += count) {
        count = (rows - done) / (num_tiles - t);  // tiles of nearly equal height
        tiles<Type>[count - 1](x + done * steps + i, steps, w + (p * steps + i) * step_size, 0, step_size,
                               least(steps - i, block), sums + done * panel);
      }
    }
    for (int64_t r = 0; r < rows; r++) finish<Type>(args, row + r, p * panel, sums + r * panel);
  }
}

template <typename Type>
void run_typed(const LinearArgs& args, int64_t row, int64_t row_end, int64_t first, int64_t last) {
  if (row_end - row == 1) return run_row<Type>(args, row, first, last);
  run_rows<Type>(args, row, row_end - row, first, last);
}

#ifdef PAIRS
constexpr bool pairs = true;
typedef Bf16Pairs Bf16Weight;
#else
constexpr bool pairs = false;
typedef Bf16 Bf16Weight;
#endif

void run(const LinearArgs& args, Stored stored, int64_t row, int64_t row_end, int64_t first, int64_t last) {
  switch (stored) {
    case Stored::bf16: return run_typed<Bf16Weight>(args, row, row_end, first, last);
    case Stored::f16: return run_typed<F16>(args, row, row_end, first, last);
    case Stored::f32: return run_typed<F32>(args, row, row_end, first, last);
  }
}

template <typename Type>
void unpack_typed(const void* w, int64_t K, int64_t n, float* y) {
  alignas(64) float columns[panel];
  const typename Type::Stored* numbers = static_cast<const typename Type::Stored*>(w) + n / panel * K * panel;
  for (int64_t k = 0; k < K; k++) {
    Floats a, b;
    Type::load2(numbers + k * panel, a, b);
    Type::in_order(a, b);
    store(columns, a);
    store(columns + W, b);
    y[k] = columns[n % panel];
  }
}

template <>
void unpack_typed<Bf16Pairs>(const void* w, int64_t K, int64_t n, float* y) {
  const uint16_t* numbers = static_cast<const uint16_t*>(w) + n / panel * steps_of<Bf16Pairs>(K) * 2 * panel;
  for (int64_t k = 0; k < K; k++) {
    const uint32_t word = static_cast<uint32_t>(numbers[(k / 2 * panel + n % panel) * 2 + k % 2]) << 16;
    memcpy(y + k, &word, sizeof word);
  }
}

void unpack(const void* w, Stored stored, int64_t K, int64_t n, float* y) {
  switch (stored) {
    case Stored::bf16: return unpack_typed<Bf16Weight>(w, K, n, y);
    case Stored::f16: return unpack_typed<F16>(w, K, n, y);
    case Stored::f32: return unpack_typed<F32>(w, K, n, y);
  }
}

void narrow(const float* x, int64_t K, uint16_t* to) {
  for (int64_t k = 0; k < K; k++) to[k] = round_to_bf16(x[k]);
  if (K % 2) to[K] = 0;
}

}  // namespace

LinearKernel linear_kernel() { return {panel, pairs, run, unpack, narrow}; }

}  // namespace openaisle::ISA
