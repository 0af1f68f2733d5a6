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
  Floats a = load(sums), b = load(sums + W);
  Type::in_order(a, b);
  store(sums, a);
  store(sums + W, b);
  const int64_t n = least(args.N - column, panel);
  float* y = args.y + row * args.N + column;
  const float* residual = args.residual ? args.residual + row * args.N + column : nullptr;
  if (args.bias)
    for (int64_t i = 0; i < n; i++) sums[i] += args.bias[column + i];
  if (args.relu)
    for (int64_t i = 0; i < n; i++) sums[i] = sums[i] < 0.0f ? 0.0f : sums[i];
  if (residual)
    for (int64_t i = 0; i < n; i++) sums[i] += residual[i];
  for (int64_t i = 0; i < n; i++) y[i] = sums[i];
}

// One row: several panels at a time.
template <typename Type>
void run_row(const LinearArgs& args, int64_t row, int64_t first, int64_t last) {
  alignas(64) float sums[tile_panels * panel];
  const typename Type::Stored* w = static_cast<const typename Type::Stored*>(args.w);
  for (int64_t p = first, count; p < last; p += count) {
    count = least(last - p, tile_panels);
    memset(sums, 0, sizeof sums);
    row_tiles<Type>[count - 1](args.x + row * args.K, args.K, w + p * args.K * panel, args.K * panel, panel, args.K,
                               sums);
    for (int64_t i = 0; i < count; i++) finish<Type>(args, row, (p + i) * panel, sums + i * panel);
  }
}

template <typename Type>
void run_rows(const LinearArgs& args, int64_t row, int64_t rows, int64_t first, int64_t last) {
  alignas(64) float sums[max_rows * panel];
  const typename Type::Stored* w = static_cast<const typename Type::Stored*>(args.w);
  const int64_t num_tiles = (rows + tile_rows - 1) / tile_rows;
  for (int64_t p = first; p < last; p++) {
    memset(sums, 0, sizeof(float) * rows * panel);
    for (int64_t k = 0; k < args.K; k += block_k) {
      const int64_t depth = least(args.K - k, block_k);
      for (int64_t t = 0, done = 0, count; t < num_tiles; t++, done += count) {
        count = (rows - done) / (num_tiles - t);  // tiles of nearly equal height
        tiles<Type>[count - 1](args.x + (row + done) * args.K + k, args.K, w + (p * args.K + k) * panel, 0, panel,
                               depth, sums + done * panel);
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

void run(const LinearArgs& args, Stored stored, int64_t row, int64_t row_end, int64_t first, int64_t last) {
  switch (stored) {
    case Stored::bf16: return run_typed<Bf16>(args, row, row_end, first, last);
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

void unpack(const void* w, Stored stored, int64_t K, int64_t n, float* y) {
  switch (stored) {
    case Stored::bf16: return unpack_typed<Bf16>(w, K, n, y);
    case Stored::f16: return unpack_typed<F16>(w, K, n, y);
    case Stored::f32: return unpack_typed<F32>(w, K, n, y);
  }
}

}  // namespace

LinearKernel linear_kernel() { return {panel, run, unpack}; }

}  // namespace openaisle::ISA
