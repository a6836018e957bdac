#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "by_level.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Vectors of floats for the CPU loops, in compiler vector extensions: one source for AVX-512, AVX2,
// SSE2 and NEON. by_level() runs the copy that is compiled for the processor.

namespace previt::simd {

/// What rows are padded to: a multiple of every level's lanes.
constexpr int64_t kLanes = 16;

/// A bfloat16 as its bits.
struct Bf16 {
  uint16_t bits;
};

/// The vector types of N lanes. Not a template: GCC takes a vector whose size depends on a
/// parameter for a number.
template <int N>
struct VectorsOf;
#define PREVIT_VECTORS(N)                                         \
  template <>                                                     \
  struct VectorsOf<N> {                                           \
    typedef float Vec __attribute__((vector_size(4 * N)));        \
    typedef int32_t VecInt __attribute__((vector_size(4 * N)));   \
    typedef uint32_t VecUint __attribute__((vector_size(4 * N))); \
    typedef uint16_t VecHalf __attribute__((vector_size(2 * N))); \
  }
PREVIT_VECTORS(4);
PREVIT_VECTORS(8);
PREVIT_VECTORS(16);
#undef PREVIT_VECTORS

#if defined(__x86_64__)
// What GCC makes poor code of, or none, without being told the instruction.
namespace avx512 {

// A mask of all lanes. GCC takes the operand that is left out without one for a mistake.
constexpr __mmask16 kAll = 0xffff;

PREVIT_TARGET_AVX512 inline void widen(const VectorsOf<16>::VecHalf& h, VectorsOf<16>::VecUint& u) {
  u = (VectorsOf<16>::VecUint)_mm512_maskz_cvtepu16_epi32(kAll, (__m256i)h);
}
PREVIT_TARGET_AVX512 inline void narrow(const VectorsOf<16>::VecUint& u,
                                        VectorsOf<16>::VecHalf& h) {
  h = (VectorsOf<16>::VecHalf)_mm512_maskz_cvtepi32_epi16(kAll, (__m512i)u);
}
PREVIT_TARGET_AVX512_BF16 inline void round_to_bf16(const VectorsOf<16>::Vec& v,
                                                    VectorsOf<16>::VecHalf& h) {
  h = (VectorsOf<16>::VecHalf)_mm512_cvtneps_pbh((__m512)v);
}
PREVIT_TARGET_AVX512 inline void gather(const uint32_t* table,
                                        const VectorsOf<16>::VecUint& index,
                                        VectorsOf<16>::VecUint& entries) {
  entries = (VectorsOf<16>::VecUint)_mm512_mask_i32gather_epi32(
      _mm512_setzero_si512(), kAll, (__m512i)index, table, sizeof *table);
}

}  // namespace avx512
#endif

/// Vectors as wide as the registers, and what is done with them. They are passed by reference: how
/// values are passed depends on a level's registers.
template <Registers R>
struct Simd {
  static constexpr int N = R.floats;
  static constexpr int64_t kLanes = N;
  using Vec = typename VectorsOf<N>::Vec;
  using VecInt = typename VectorsOf<N>::VecInt;
  using VecUint = typename VectorsOf<N>::VecUint;
  using VecHalf = typename VectorsOf<N>::VecHalf;

  PREVIT_INLINE static void widen(const VecHalf& h, VecUint& u) {
#if defined(__x86_64__)
    if constexpr (N == 16) return avx512::widen(h, u);
#endif
    u = __builtin_convertvector(h, VecUint);
  }
  /// The low halves.
  PREVIT_INLINE static void narrow(const VecUint& u, VecHalf& h) {
#if defined(__x86_64__)
    if constexpr (N == 16) return avx512::narrow(u, h);
#endif
    h = __builtin_convertvector(u, VecHalf);
  }

  PREVIT_INLINE static void load(const float* p, Vec& v) { std::memcpy(&v, p, sizeof v); }
  PREVIT_INLINE static void load(const Bf16* p, Vec& v) {
    VecHalf h;
    VecUint u;
    std::memcpy(&h, p, sizeof h);
    widen(h, u);
    u <<= 16;
    std::memcpy(&v, &u, sizeof v);
  }
  PREVIT_INLINE static void store(float* p, const Vec& v) { std::memcpy(p, &v, sizeof v); }
  // Rounds to nearest even; NaN stays NaN. The instruction makes 0 of what is below 2⁻¹²⁶.
  PREVIT_INLINE static void store(Bf16* p, const Vec& v) {
#if defined(__x86_64__)
    if constexpr (R.rounds_bf16) {
      VecHalf h;
      avx512::round_to_bf16(v, h);
      std::memcpy(p, &h, sizeof h);
      return;
    }
#endif
    VecUint u;
    std::memcpy(&u, &v, sizeof v);
    const VecUint rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    const VecUint kept = (u >> 16) | 0x40u;
    const VecInt is_nan = v != v;
    VecUint mask;
    std::memcpy(&mask, &is_nan, sizeof mask);
    VecHalf h;
    narrow((rounded & ~mask) | (kept & mask), h);
    std::memcpy(p, &h, sizeof h);
  }

  /// The first n < N lanes; the others are zero.
  template <class T>
  PREVIT_INLINE static void load_part(const T* p, int64_t n, Vec& v) {
    T buffer[N] = {};
    std::memcpy(buffer, p, static_cast<size_t>(n) * sizeof(T));
    load(buffer, v);
  }
  template <class T>
  PREVIT_INLINE static void store_part(T* p, int64_t n, const Vec& v) {
    T buffer[N];
    store(buffer, v);
    std::memcpy(p, buffer, static_cast<size_t>(n) * sizeof(T));
  }
  /// The first n values, at most N of them; the other lanes are zero.
  template <class T>
  PREVIT_INLINE static void load_some(const T* p, int64_t n, Vec& v) {
    if (n >= N) {
      load(p, v);
    } else {
      load_part(p, n, v);
    }
  }
  /// The first n lanes, at most N of them.
  template <class T>
  PREVIT_INLINE static void store_some(T* p, int64_t n, const Vec& v) {
    if (n >= N) {
      store(p, v);
    } else {
      store_part(p, n, v);
    }
  }

  /// The entries of `table` at `index`, of which there is one for each lane.
  PREVIT_INLINE static void gather(const uint32_t* table, const Bf16* index, VecUint& entries) {
#if defined(__x86_64__)
    if constexpr (N == 16) {
      VecHalf h;
      VecUint wide;
      std::memcpy(&h, index, sizeof h);
      widen(h, wide);
      avx512::gather(table, wide, entries);
      return;
    }
#endif
    for (int i = 0; i < N; ++i) entries[i] = table[index[i].bits];
  }
  /// The low 16 bits of the first n lanes, at most N of them.
  PREVIT_INLINE static void store_low_halves(Bf16* p, int64_t n, const VecUint& v) {
    VecHalf low;
    narrow(v, low);
    if (n >= N) {
      std::memcpy(p, &low, sizeof low);
    } else {
      std::memcpy(p, &low, static_cast<size_t>(n) * sizeof(Bf16));
    }
  }

  /// Lanes from n on become `value`.
  PREVIT_INLINE static void fill_from(int64_t n, float value, Vec& v) {
    VecInt lane;
    for (int i = 0; i < N; ++i) lane[i] = i;
    v = lane < static_cast<int32_t>(n) ? v : Vec{} + value;
  }

  /// Lane c of row r becomes lane r of row c: blocks off the diagonal are swapped, halving each
  /// time.
  template <class V>
  PREVIT_INLINE static void transpose(V (&rows)[N]) {
    if constexpr (N > 8) swap_lanes<8>(rows);
    if constexpr (N > 4) swap_lanes<4>(rows);
    swap_lanes<2>(rows);
    swap_lanes<1>(rows);
  }

  PREVIT_INLINE static float sum(const Vec& v) {
    return fold(v, [](Vec& a, const Vec& b) PREVIT_INLINE { a += b; });
  }
  PREVIT_INLINE static float max(const Vec& v) {
    return fold(v, [](Vec& a, const Vec& b) PREVIT_INLINE { a = a > b ? a : b; });
  }

  /// exp(x) for x <= 88, relative error 2e-7; 0 below -87, NaN for NaN. Cephes' expf polynomial.
  PREVIT_INLINE static void exp(const Vec& x, Vec& y) {
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
    VecInt bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000;  // 2ⁿ: the low bits of shifted hold n
    std::memcpy(&y, &bits, sizeof y);
    y = x < -87.3f ? Vec{} : p * y;
  }

  /// Φ(x), the normal distribution, with e = exp(-x²/2) at hand: Abramowitz & Stegun 7.1.26, error
  /// 8e-8.
  PREVIT_INLINE static void normal_cdf(const Vec& x, const Vec& e, Vec& y) {
    const Vec z = (x < 0.f ? -x : x) * 0.70710678f;
    const Vec t = 1.f / (z * 0.3275911f + 1.f);
    Vec p = t * 1.061405429f - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const Vec tail = p * t * e * 0.5f;
    y = x < 0.f ? tail : 1.f - tail;
  }

 private:
  using Numbers = std::make_integer_sequence<int, N>;

  // Lane i becomes lane i ^ D.
  template <int D, int... I>
  PREVIT_INLINE static void exchange(const Vec& v, Vec& w, std::integer_sequence<int, I...>) {
    w = __builtin_shufflevector(v, v, (I ^ D)...);
  }

  // Halves folded onto each other until all lanes hold the result.
  template <class Combine>
  PREVIT_INLINE static float fold(const Vec& v, const Combine& combine) {
    Vec all = v, other;
    if constexpr (N > 8) {
      exchange<8>(all, other, Numbers());
      combine(all, other);
    }
    if constexpr (N > 4) {
      exchange<4>(all, other, Numbers());
      combine(all, other);
    }
    exchange<2>(all, other, Numbers());
    combine(all, other);
    exchange<1>(all, other, Numbers());
    combine(all, other);
    return all[0];
  }

  // For rows a and b that are D apart: swaps the lanes of a whose number has bit D with the lanes
  // of b whose number does not.
  template <int D, class V, int... I>
  PREVIT_INLINE static void swap_pair(V& a, V& b, std::integer_sequence<int, I...>) {
    const V first = __builtin_shufflevector(a, b, ((I & D) != 0 ? N + I - D : I)...);
    b = __builtin_shufflevector(a, b, ((I & D) != 0 ? N + I : I + D)...);
    a = first;
  }
  template <int D, class V>
  PREVIT_INLINE static void swap_lanes(V (&rows)[N]) {
    for (int r = 0; r < N; ++r) {
      if ((r & D) == 0) swap_pair<D>(rows[r], rows[r + D], Numbers());
    }
  }
};

}  // namespace previt::simd
