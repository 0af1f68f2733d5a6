// The linear layer for one instruction set; compiled once for each, with ISA and WIDTH given.
#include "linear.h"

#include "tile.h"

namespace openaisle::ISA {

namespace {

// So much of a panel stays in the first-level cache while the tiles of rows pass over it.
constexpr int64_t block_k = 256;

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Steps that a row of K inputs takes.
template <typename Type>
int64_t steps_of(int64_t K) {
  return (K + Type::depth - 1) / Type::depth;
}

template <typename Type>
void arrange_typed(const float* const rows[4], int64_t K, uint32_t* to, int64_t stride) {
  typedef uint32_t Four __attribute__((vector_size(16)));
  if (stride == 1) return Type::inputs(rows[0], K, to);
  constexpr int64_t block = 64;  // steps at a time
  const int64_t steps = steps_of<Type>(K);
  uint32_t words[4][block];
  for (int64_t i = 0; i < steps; i += block) {
    const int64_t count = least(steps - i, block), k = i * Type::depth;
    for (int r = 0; r < 4; r++) Type::inputs(rows[r] + k, least(K - k, block * Type::depth), words[r]);
    for (int64_t j = 0; j < count; j += 4) {
      const Four a = load<Four>(words[0] + j), b = load<Four>(words[1] + j), c = load<Four>(words[2] + j),
                 d = load<Four>(words[3] + j);
      const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Four ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      const Four columns[] = {
          __builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
          __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5), __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7)};
      for (int64_t s = 0; s < least(count - j, 4); s++) memcpy(to + (i + j + s) * stride, columns + s, sizeof *columns);
    }
  }
}

// The first n of W numbers, or all: what follows them is not touched.
Floats load_first(const float* from, int64_t n) {
  if (n >= W) return load(from);
  Floats v{};
  memcpy(&v, from, n * sizeof *from);
  return v;
}
void store_first(float* to, Floats v, int64_t n) {
  if (n >= W) return store(to, v);
  memcpy(to, &v, n * sizeof *to);
}

// Bias, ReLU and residual of one panel's columns for the rows of a group, and where they go to.
template <typename Type>
void finish(const LinearArgs& args, int64_t group, int64_t column, float* sums) {
  const int64_t row = args.begin(group), rows = args.begin(group + 1) - row;
  for (int64_t r = 0; r < rows; r++) {
    Floats halves[] = {load(sums + r * panel), load(sums + r * panel + W)};
    Type::in_order(halves[0], halves[1]);
    for (int i = 0; i < 2; i++) {
      const int64_t at = column + i * W, n = args.N - at, place = (row + r) * args.N + at;
      if (n <= 0) break;
      Floats v = halves[i];
      if (args.bias) v += load_first(args.bias + at, n);
      if (args.relu) v = v < 0.0f ? Floats{} : v;
      if (args.residual) v += load_first(args.residual + place, n);
      args.next ? store(sums + r * panel + i * W, v) : store_first(args.y + place, v, n);
    }
  }
  if (!args.next) return;
  uint32_t* const to = args.next + (group * steps_of<Type>(args.N) + column / Type::depth) * args.stride;
  for (int64_t r = 0; r < rows; r += 4) {
    const float* four[4];
    for (int i = 0; i < 4; i++) four[i] = sums + least(r + i, rows - 1) * panel;
    arrange_typed<Type>(four, least(args.N - column, panel), to + r, args.stride);
  }
}

// One row: several panels at a time.
template <typename Type>
void run_row(const LinearArgs& args, int64_t first, int64_t last) {
  alignas(64) float sums[tile_panels * panel];
  const int64_t steps = steps_of<Type>(args.K), step_size = Type::depth * panel;
  const auto* x = reinterpret_cast<const typename Type::Input*>(args.x);
  const auto* w = static_cast<const typename Type::Stored*>(args.w);
  for (int64_t p = first, count; p < last; p += count) {
    count = least(last - p, tile_panels);
    memset(sums, 0, sizeof sums);
    row_tiles<Type>[count - 1](x, steps, w + p * steps * step_size, steps * step_size, step_size, steps, sums);
    for (int64_t i = 0; i < count; i++) finish<Type>(args, 0, (p + i) * panel, sums + i * panel);
  }
}

template <typename Type>
void run_groups(const LinearArgs& args, int64_t group, int64_t group_end, int64_t first, int64_t last) {
  alignas(64) float sums[max_rows * panel];
  const int64_t steps = steps_of<Type>(args.K), step_size = Type::depth * panel, block = block_k / Type::depth;
  const int64_t stride = args.stride;
  const auto sums_of = [&](int64_t g) { return sums + (args.begin(g) - args.begin(group)) * panel; };
  const auto* x = reinterpret_cast<const typename Type::Input*>(args.x);
  const auto* w = static_cast<const typename Type::Stored*>(args.w);
  for (int64_t p = first; p < last; p++) {
    memset(sums, 0, (sums_of(group_end) - sums) * sizeof *sums);
    for (int64_t i = 0; i < steps; i += block)
      for (int64_t g = group; g < group_end; g++)
        tiles<Type, by_step>[args.begin(g + 1) - args.begin(g) - 1](
            x + (g * steps + i) * stride, stride, w + (p * steps + i) * step_size, 0, step_size,
            least(steps - i, block), sums_of(g));
    for (int64_t g = group; g < group_end; g++) finish<Type>(args, g, p * panel, sums_of(g));
  }
}

template <typename Type>
void run_typed(const LinearArgs& args, int64_t group, int64_t group_end, int64_t first, int64_t last) {
  if (args.M == 1) return run_row<Type>(args, first, last);
  run_groups<Type>(args, group, group_end, first, last);
}

#ifdef PAIRS
constexpr bool pairs = true;
typedef Bf16Pairs Bf16Weight;
#else
constexpr bool pairs = false;
typedef Bf16 Bf16Weight;
#endif

void run(const LinearArgs& args, Stored stored, int64_t group, int64_t group_end, int64_t first, int64_t last) {
  switch (stored) {
    case Stored::bf16: return run_typed<Bf16Weight>(args, group, group_end, first, last);
    case Stored::f16: return run_typed<F16>(args, group, group_end, first, last);
    case Stored::f32: return run_typed<F32>(args, group, group_end, first, last);
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

void arrange(const float* const rows[4], Stored stored, int64_t K, uint32_t* to, int64_t stride) {
  switch (stored) {
    case Stored::bf16: return arrange_typed<Bf16Weight>(rows, K, to, stride);
    case Stored::f16: return arrange_typed<F16>(rows, K, to, stride);
    case Stored::f32: return arrange_typed<F32>(rows, K, to, stride);
  }
}

}  // namespace

LinearKernel linear_kernel() { return {panel, tile_rows, pairs, run, unpack, arrange}; }

}  // namespace openaisle::ISA
