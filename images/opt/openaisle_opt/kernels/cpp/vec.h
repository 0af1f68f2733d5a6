// Vectors of WIDTH floats, and how weights and cache entries of two or four bytes become such vectors.
//
// Include it in files compiled for one instruction set. Everything sits in a namespace named after
// the instruction set: two files built with other flags must not share an inline function.
#pragma once

#include <cstdint>
#include <cstring>
#include <immintrin.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))

namespace openaisle::ISA {

constexpr int W = WIDTH;  // floats in a vector
typedef float Floats __attribute__((vector_size(W * 4)));
typedef uint32_t Words __attribute__((vector_size(W * 4)));
typedef int32_t Ints __attribute__((vector_size(W * 4)));

template <typename V = Floats>
ALWAYS_INLINE V load(const void* p) {
  V v;
  memcpy(&v, p, sizeof v);
  return v;
}

ALWAYS_INLINE void store(float* p, Floats v) { memcpy(p, &v, sizeof v); }

ALWAYS_INLINE Floats broadcast(float x) { return x - Floats{}; }  // a plus would cost an instruction, for -0

ALWAYS_INLINE Floats as_floats(Words v) {
  Floats f;
  memcpy(&f, &v, sizeof f);
  return f;
}

inline uint16_t round_to_bf16(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  const bool is_nan = (u & 0x7fffffffu) > 0x7f800000u;
  return static_cast<uint16_t>((is_nan ? u | 0x400000u : u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

// Each type loads a step of stored numbers for 2 W columns as two vectors, and multiplies them by an
// input that belongs to the step: one number, or `depth` of them. For bfloat16 a 32-bit lane holds two
// numbers, so that a shift and a mask take it apart: `a` gets the even and `b` the odd ones. The other
// types load in order: `a` gets the first W numbers, `b` the next. `in_order` brings two vectors of
// results to the order of the stored numbers, `inputs` turns numbers into inputs of 32 bits.
struct OneByOne {
  static constexpr int depth = 1;
  typedef float Input;
  typedef Floats Loaded;
  static ALWAYS_INLINE void multiply_add(Floats& sum, float x, Floats w) { sum += broadcast(x) * w; }
  static ALWAYS_INLINE void inputs(const float* from, int64_t count, uint32_t* to) {
    memcpy(to, from, count * sizeof *to);
  }
};

struct Bf16 : OneByOne {
  typedef uint16_t Stored;
  static ALWAYS_INLINE void load2(const Stored* p, Floats& a, Floats& b) {
    const Words w = load<Words>(p);
    a = as_floats(w << 16);
    b = as_floats(w & 0xffff0000u);
  }
  static ALWAYS_INLINE void in_order(Floats& a, Floats& b) {
#if WIDTH == 8
    const Floats low = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    b = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
    const Floats low = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    b = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#endif
    a = low;
  }
  static ALWAYS_INLINE Stored round(float x) { return round_to_bf16(x); }
};

// Two numbers of a column side by side in a lane, and two inputs in 32 bits: one instruction of
// AVX512_BF16 multiplies and adds both, twice the products of a float32 one.
struct Bf16Pairs {
  static constexpr int depth = 2;
  typedef uint16_t Stored;
  typedef uint32_t Input;
  typedef Words Loaded;
  static ALWAYS_INLINE void load2(const Stored* p, Words& a, Words& b) {
    a = load<Words>(p);
    b = load<Words>(p + 2 * W);
  }
  static ALWAYS_INLINE void in_order(Floats&, Floats&) {}
  static ALWAYS_INLINE void inputs(const float* from, int64_t count, uint32_t* to) {
    uint16_t* numbers = reinterpret_cast<uint16_t*>(to);
    for (int64_t i = 0; i < count; i++) numbers[i] = round_to_bf16(from[i]);
    if (count % 2) numbers[count] = 0;
  }
  static ALWAYS_INLINE void multiply_add(Floats& sum, uint32_t x, Words w) {
#ifdef __AVX512BF16__
    const __m512i pairs = _mm512_set1_epi32(static_cast<int>(x));
    sum = (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)w, (__m512bh)pairs);
#else
    const Words pairs = x - Words{};
    sum += as_floats(w & 0xffff0000u) * as_floats(pairs & 0xffff0000u);
    sum += as_floats(w << 16) * as_floats(pairs << 16);
#endif
  }
};

struct F16 : OneByOne {
  typedef uint16_t Stored;
  static ALWAYS_INLINE Floats load1(const Stored* p) {
    Floats v;
    for (int i = 0; i < W; i += 8) {
      const __m256 part = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i)));
      memcpy(reinterpret_cast<float*>(&v) + i, &part, sizeof part);
    }
    return v;
  }
  static ALWAYS_INLINE void load2(const Stored* p, Floats& a, Floats& b) {
    a = load1(p);
    b = load1(p + W);
  }
  static ALWAYS_INLINE void in_order(Floats&, Floats&) {}
  static ALWAYS_INLINE Stored round(float x) { return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT); }
};

struct F32 : OneByOne {
  typedef float Stored;
  static ALWAYS_INLINE void load2(const Stored* p, Floats& a, Floats& b) {
    a = load(p);
    b = load(p + W);
  }
  static ALWAYS_INLINE void in_order(Floats&, Floats&) {}
  static ALWAYS_INLINE Stored round(float x) { return x; }
};

}  // namespace openaisle::ISA
