#pragma once

#include <cstdint>
#include <cstring>

#include "always_inline.h"

// Sixteen float lanes for the CPU loops, in compiler vector extensions: one source for AVX-512,
// AVX2 and anything else. A function marked PREVIT_CLONES is compiled for each and picked when the
// program loads; what it calls here is inlined into each version.

#if defined(__x86_64__) && defined(__gnu_linux__)
#define PREVIT_CLONES __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define PREVIT_CLONES
#endif

namespace previt::simd {

constexpr int64_t kLanes = 16;
// NOLINTBEGIN: the attribute must follow the type.
typedef float Vec __attribute__((vector_size(64)));
typedef int32_t VecInt __attribute__((vector_size(64)));
typedef uint32_t VecUint __attribute__((vector_size(64)));
typedef uint16_t VecHalf __attribute__((vector_size(32)));
// NOLINTEND

/// A bfloat16 as its bits.
struct Bf16 {
  uint16_t bits;
};

// Vectors are passed by reference: how values are passed depends on each version's registers.
PREVIT_INLINE inline void load(const float* p, Vec& v) { std::memcpy(&v, p, sizeof v); }
PREVIT_INLINE inline void load(const Bf16* p, Vec& v) {
  VecHalf h;
  std::memcpy(&h, p, sizeof h);
  const VecUint u = __builtin_convertvector(h, VecUint) << 16;
  std::memcpy(&v, &u, sizeof v);
}
PREVIT_INLINE inline void store(float* p, const Vec& v) { std::memcpy(p, &v, sizeof v); }
PREVIT_INLINE inline void store(Bf16* p, const Vec& v) {  // rounds to nearest even; NaN stays NaN
  VecUint u;
  std::memcpy(&u, &v, sizeof v);
  const VecUint rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const VecUint kept = (u >> 16) | 0x40u;
  const VecInt is_nan = v != v;
  VecUint mask;
  std::memcpy(&mask, &is_nan, sizeof mask);
  const VecHalf h = __builtin_convertvector((rounded & ~mask) | (kept & mask), VecHalf);
  std::memcpy(p, &h, sizeof h);
}

/// The first n < 16 lanes; the others are zero.
template <class T>
PREVIT_INLINE inline void load_part(const T* p, int64_t n, Vec& v) {
  T buffer[kLanes] = {};
  std::memcpy(buffer, p, static_cast<size_t>(n) * sizeof(T));
  load(buffer, v);
}
template <class T>
PREVIT_INLINE inline void store_part(T* p, int64_t n, const Vec& v) {
  T buffer[kLanes];
  store(buffer, v);
  std::memcpy(p, buffer, static_cast<size_t>(n) * sizeof(T));
}
/// The first n values, at most 16 of them; the other lanes are zero.
template <class T>
PREVIT_INLINE inline void load_some(const T* p, int64_t n, Vec& v) {
  if (n >= kLanes) {
    load(p, v);
  } else {
    load_part(p, n, v);
  }
}
/// The first n lanes, at most 16 of them.
template <class T>
PREVIT_INLINE inline void store_some(T* p, int64_t n, const Vec& v) {
  if (n >= kLanes) {
    store(p, v);
  } else {
    store_part(p, n, v);
  }
}

/// Lanes from n on become `value`.
PREVIT_INLINE inline void fill_from(int64_t n, float value, Vec& v) {
  const VecInt lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  v = lane < static_cast<int32_t>(n) ? v : Vec{} + value;
}

/// For rows a and b that are D apart: swaps the lanes of a whose number has bit D with the lanes of
/// b whose number does not.
template <int D, class V>
PREVIT_INLINE inline void swap_lanes(V& a, V& b) {
  constexpr auto low = [](int lane) { return (lane & D) != 0 ? kLanes + lane - D : lane; };
  constexpr auto high = [](int lane) { return (lane & D) != 0 ? kLanes + lane : lane + D; };
#define PREVIT_LANES(of)                                                                        \
  of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7), of(8), of(9), of(10), of(11), of(12), \
      of(13), of(14), of(15)
  const V first = __builtin_shufflevector(a, b, PREVIT_LANES(low));
  b = __builtin_shufflevector(a, b, PREVIT_LANES(high));
  a = first;
#undef PREVIT_LANES
}

/// swap_lanes for all pairs of rows that are D apart.
template <int D, class V>
PREVIT_INLINE inline void swap_lanes(V (&rows)[kLanes]) {
  for (int r = 0; r < kLanes; ++r) {
    if ((r & D) == 0) swap_lanes<D>(rows[r], rows[r + D]);
  }
}

/// Lane c of row r becomes lane r of row c: blocks off the diagonal are swapped, halving each time.
template <class V>
PREVIT_INLINE inline void transpose(V (&rows)[kLanes]) {
  swap_lanes<8>(rows);
  swap_lanes<4>(rows);
  swap_lanes<2>(rows);
  swap_lanes<1>(rows);
}

// Halves folded onto each other until all lanes hold the result.
#define PREVIT_FOLD(v, combine)                                                                   \
  do {                                                                                            \
    combine(v,                                                                                    \
            __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)); \
    combine(v,                                                                                    \
            __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)); \
    combine(v,                                                                                    \
            __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)); \
    combine(v,                                                                                    \
            __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)); \
  } while (false)

PREVIT_INLINE inline void add_to(Vec& v, const Vec& w) { v += w; }
PREVIT_INLINE inline void max_to(Vec& v, const Vec& w) { v = v > w ? v : w; }

PREVIT_INLINE inline float sum(const Vec& v) {
  Vec all = v;
  PREVIT_FOLD(all, add_to);
  return all[0];
}
PREVIT_INLINE inline float max(const Vec& v) {
  Vec all = v;
  PREVIT_FOLD(all, max_to);
  return all[0];
}

/// exp(x) for x <= 88, relative error 2e-7; 0 below -87, NaN for NaN. Cephes' expf polynomial.
PREVIT_INLINE inline void exp(const Vec& x, Vec& y) {
  const Vec clamped = x < -87.3f ? Vec{} - 87.3f : x;
  const Vec magic = Vec{} + 12582912.f;  // 1.5·2²³: adding it rounds to an integer
  const Vec shifted = clamped * 1.44269504f + magic;
  const Vec n = shifted - magic;
  // x - n ln 2, with ln 2 as a sum whose first part has few bits, so that n times it is exact.
  const Vec r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.f;
  VecInt exponent, bits;
  std::memcpy(&exponent, &shifted, sizeof exponent);
  std::memcpy(&bits, &p, sizeof bits);
  bits += exponent << 23;  // the low bits of shifted hold n
  std::memcpy(&y, &bits, sizeof y);
  y = x < -87.3f ? Vec{} : y;
}

/// Φ(x), the normal distribution, with e = exp(-x²/2) at hand: Abramowitz & Stegun 7.1.26, error
/// 8e-8.
PREVIT_INLINE inline void normal_cdf(const Vec& x, const Vec& e, Vec& y) {
  const Vec z = (x < 0.f ? -x : x) * 0.70710678f;
  const Vec t = 1.f / (z * 0.3275911f + 1.f);
  Vec p = t * 1.061405429f - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Vec tail = p * t * e * 0.5f;
  y = x < 0.f ? tail : 1.f - tail;
}

}  // namespace previt::simd
