// The innermost loop of linear layers and of attention: a few rows times a few panels.
#pragma once

#include "vec.h"

namespace openaisle::ISA {

constexpr int panel = 2 * W;  // columns that one load2 brings

// Rows that are computed together: their sums fill the registers (16 with AVX2, 32 with AVX-512).
constexpr int tile_rows = W == 16 ? 12 : 6;

// Panels that are computed together. A multiply-add takes four cycles and two start in each: one
// row needs several panels to keep the units busy.
constexpr int tile_panels = 4;

// How far ahead a single panel is fetched, well within the 32 KiB of a first-level cache.
constexpr int64_t ahead_bytes = 8192;

// How the inputs of several rows lie.
enum Order {
  by_row,   // a row's inputs follow each other, and a stride leads to the next row
  by_step,  // the rows' inputs of one step follow each other, and a stride leads to the next step
};

// sums[p, r] += x[r, 0..steps] times panel p, for R rows of x and P panels, in the order of load2. Each
// sum adds its products in the same order, whatever R and P are: a row's result does not depend on
// the rows computed with it. The stride of x is in inputs, those of w in stored numbers.
template <typename Type, Order order, int R, int P>
void tile(const typename Type::Input* x, int64_t x_stride, const typename Type::Stored* w, int64_t panel_stride,
          int64_t step_stride, int64_t steps, float* sums) {
  Floats acc[P][R][2];
  for (int p = 0; p < P; p++)
    for (int r = 0; r < R; r++) {
      acc[p][r][0] = load(sums + (p * R + r) * panel);
      acc[p][r][1] = load(sums + (p * R + r) * panel + W);
    }
  for (int64_t i = 0; i < steps; i++) {
#pragma GCC unroll 4
    for (int p = 0; p < P; p++) {
      typename Type::Loaded a, b;
      Type::load2(w + p * panel_stride, a, b);
      if (P == 1) {  // several streams keep the memory busy by themselves
        constexpr int64_t step_bytes = sizeof(typename Type::Stored) * Type::depth * panel;
        const char* ahead = reinterpret_cast<const char*>(w) + ahead_bytes;
        for (int64_t at = 0; at < step_bytes; at += 64) __builtin_prefetch(ahead + at);
      }
#pragma GCC unroll 12
      for (int r = 0; r < R; r++) {
        const typename Type::Input input = order == by_row ? x[r * x_stride + i] : x[r];
        Type::multiply_add(acc[p][r][0], input, a);
        Type::multiply_add(acc[p][r][1], input, b);
      }
    }
    w += step_stride;
    if (order == by_step) x += x_stride;
  }
  for (int p = 0; p < P; p++)
    for (int r = 0; r < R; r++) {
      store(sums + (p * R + r) * panel, acc[p][r][0]);
      store(sums + (p * R + r) * panel + W, acc[p][r][1]);
    }
}

template <typename Type>
using Tile = void (*)(const typename Type::Input* x, int64_t x_stride, const typename Type::Stored* w,
                      int64_t panel_stride, int64_t step_stride, int64_t steps, float* sums);

// tiles[R - 1]: R rows times one panel; row_tiles[P - 1]: one row times P panels.
template <typename Type, Order order>
constexpr Tile<Type> tiles[] = {
    tile<Type, order, 1, 1>, tile<Type, order, 2, 1>,  tile<Type, order, 3, 1>,  tile<Type, order, 4, 1>,
    tile<Type, order, 5, 1>, tile<Type, order, 6, 1>,
#if WIDTH == 16
    tile<Type, order, 7, 1>, tile<Type, order, 8, 1>,  tile<Type, order, 9, 1>,  tile<Type, order, 10, 1>,
    tile<Type, order, 11, 1>, tile<Type, order, 12, 1>,
#endif
};
template <typename Type>
constexpr Tile<Type> row_tiles[] = {tile<Type, by_row, 1, 1>, tile<Type, by_row, 1, 2>, tile<Type, by_row, 1, 3>,
                                    tile<Type, by_row, 1, 4>};

}  // namespace openaisle::ISA
