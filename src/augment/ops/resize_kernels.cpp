#include "augment/ops/resize_kernels.h"

#include <algorithm>
#include <cstring>

#include "cpu_level.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace previt {
namespace {

constexpr int32_t kHalf = 1 << (FixedWeights::kBits - 1);

uint8_t to_pixel(int32_t sum) {
  return static_cast<uint8_t>(std::clamp((sum + kHalf) >> FixedWeights::kBits, 0, 255));
}

void portable_columns(const uint8_t* row,
                      const FixedWeights& weights,
                      int64_t channels,
                      uint8_t* out) {
  for (int64_t i = 0; i < weights.size(); ++i) {
    const uint8_t* from = row + weights.first[i] * channels;
    const int16_t* w = &weights.values[i * weights.taps];
    for (int64_t c = 0; c < channels; ++c) {
      int32_t sum = 0;
      for (int64_t t = 0; t < weights.taps; ++t) sum += w[t] * from[t * channels + c];
      out[i * channels + c] = to_pixel(sum);
    }
  }
}

// Makes the columns from `start` on, one by one.
void finish_rows(const uint8_t* const* rows,
                 const int16_t* weights,
                 int64_t taps,
                 int64_t start,
                 int64_t count,
                 uint8_t* out) {
  for (int64_t j = start; j < count; ++j) {
    int32_t sum = 0;
    for (int64_t t = 0; t < taps; ++t) sum += weights[t] * rows[t][j];
    out[j] = to_pixel(sum);
  }
}

void portable_rows(
    const uint8_t* const* rows, const int16_t* weights, int64_t taps, int64_t count, uint8_t* out) {
  finish_rows(rows, weights, taps, 0, count, out);
}

#if defined(__x86_64__)

// Four pixels at a time: their bytes are spread to 16 bits, r r r r g g g g | b b b b 0 0 0 0, so
// that one multiply-add with the four weights, repeated, sums pairs.
__attribute__((target("avx2"))) void avx2_columns(const uint8_t* row,
                                                  const FixedWeights& weights,
                                                  int64_t channels,
                                                  uint8_t* out) {
  if (channels != 3) return portable_columns(row, weights, channels, out);
  // clang-format off
  const __m256i spread = _mm256_setr_epi8(
       0, -1,  3, -1,  6, -1,  9, -1,
       1, -1,  4, -1,  7, -1, 10, -1,
       2, -1,  5, -1,  8, -1, 11, -1,
      -1, -1, -1, -1, -1, -1, -1, -1);
  // clang-format on
  const __m128i half = _mm_set1_epi32(kHalf);
  const int64_t steps = weights.taps / 4;
  const int16_t* w = weights.values.data();
  for (int64_t i = 0; i < weights.size(); ++i) {
    const uint8_t* from = row + weights.first[i] * 3;
    __m256i sums = _mm256_setzero_si256();
    for (int64_t s = 0; s < steps; ++s, from += 12, w += 4) {
      const __m256i four =
          _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
      const __m256i factors =
          _mm256_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(w)));
      sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_shuffle_epi8(four, spread), factors));
    }
    sums = _mm256_hadd_epi32(sums, sums);  // r g r g | b 0 b 0
    __m128i rgb =
        _mm_unpacklo_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    rgb = _mm_srai_epi32(_mm_add_epi32(rgb, half), FixedWeights::kBits);
    rgb = _mm_packus_epi16(_mm_packs_epi32(rgb, rgb), rgb);
    const int32_t bytes = _mm_cvtsi128_si32(rgb);
    std::memcpy(
        out + i * 3, &bytes, i + 1 < weights.size() ? 4 : 3);  // the 4th is overwritten next
  }
}

__attribute__((target("avx2"))) inline __m256i widen(const uint8_t* from) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

// Two rows at a time: 16 columns of each, interleaved, so that a multiply-add sums the pair.
__attribute__((target("avx2"))) void avx2_rows(
    const uint8_t* const* rows, const int16_t* weights, int64_t taps, int64_t count, uint8_t* out) {
  const __m256i half = _mm256_set1_epi32(kHalf);
  int64_t j = 0;
  for (; j + 16 <= count; j += 16) {
    __m256i low = half, high = half;
    for (int64_t t = 0; t < taps; t += 2) {
      const __m256i a = widen(rows[t] + j), b = widen(rows[t + 1] + j);
      const __m256i pair =
          _mm256_set1_epi32(static_cast<uint16_t>(weights[t]) | (weights[t + 1] << 16));
      low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), pair));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), pair));
    }
    low = _mm256_srai_epi32(low, FixedWeights::kBits);
    high = _mm256_srai_epi32(high, FixedWeights::kBits);
    const __m256i words = _mm256_packs_epi32(low, high);
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0b1000);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + j), _mm256_castsi256_si128(bytes));
  }
  finish_rows(rows, weights, taps, j, count, out);
}

#endif

}  // namespace

const ResizeKernels& portable_resize_kernels() {
  static const ResizeKernels kernels{portable_columns, portable_rows};
  return kernels;
}

const ResizeKernels& fastest_resize_kernels() {
#if defined(__x86_64__)
  static const ResizeKernels avx2{avx2_columns, avx2_rows};
  if (cpu_level() >= CpuLevel::kAvx2) return avx2;
#endif
  return portable_resize_kernels();
}

}  // namespace previt
