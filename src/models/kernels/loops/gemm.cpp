#include "models/kernels/loops/gemm.h"

#if defined(__x86_64__)
#define PREVIT_X86 1
#include <immintrin.h>
#endif

namespace previt {
namespace {

using simd::Bf16;
using simd::kLanes;
using simd::Simd;

// Four rows by sixteen columns of C at a time. The two values of a dword are widened to floats and
// multiplied apart: a bfloat16 is the upper half of a float.
template <class S>
PREVIT_INLINE inline void gemm_loop(const Bf16Product& x) {
  const auto [a, lda, b, ldb, c, ldc, m, n, k] = x;
  constexpr int kRows = 4;
  const auto widened = [](Bf16 x) PREVIT_INLINE {
    const uint32_t bits = uint32_t{x.bits} << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  };
  for (int64_t i = 0; i < m; i += kRows) {
    for (int64_t j = 0; j < n; j += S::kLanes) {
      typename S::Vec sums[kRows] = {};
      for (int64_t p = 0; p < k; p += 2) {
        typename S::VecUint pair;
        std::memcpy(&pair, b + p / 2 * ldb + j, sizeof pair);
        const typename S::VecUint low = pair << 16, high = pair & 0xffff0000u;
        typename S::Vec even, odd;
        std::memcpy(&even, &low, sizeof even);
        std::memcpy(&odd, &high, sizeof odd);
        for (int r = 0; r < kRows; ++r) {
          const Bf16* row = a + (i + r) * lda + p;
          sums[r] += even * widened(row[0]);
          sums[r] += odd * widened(row[1]);
        }
      }
      for (int r = 0; r < kRows; ++r) S::store(c + (i + r) * ldc + j, sums[r]);
    }
  }
}

void generic_gemm(const Bf16Product& x) {
  by_level([=](auto lanes) PREVIT_INLINE { gemm_loop<Simd<lanes>>(x); });
}

#ifdef PREVIT_X86

#define PREVIT_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

// R rows by V vectors of C, held in registers.
template <int R, int V>
PREVIT_BF16 inline void block_avx512(
    const Bf16* a, int64_t lda, const uint32_t* b, int64_t ldb, float* c, int64_t ldc, int64_t k) {
  __m512 sums[R][V];
  for (auto& row : sums) {
    for (auto& sum : row) sum = _mm512_setzero_ps();
  }
  for (int64_t p = 0; p < k / 2; ++p) {
    __m512i right[V];
    for (int v = 0; v < V; ++v) right[v] = _mm512_loadu_si512(b + p * ldb + v * kLanes);
    for (int r = 0; r < R; ++r) {
      int pair;
      std::memcpy(&pair, a + r * lda + 2 * p, sizeof pair);
      const auto left = (__m512bh)_mm512_set1_epi32(pair);
      for (int v = 0; v < V; ++v)
        sums[r][v] = _mm512_dpbf16_ps(sums[r][v], left, (__m512bh)right[v]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(c + r * ldc + v * kLanes, sums[r][v]);
  }
}

PREVIT_BF16 void avx512_gemm(const Bf16Product& x) {
  const auto [a, lda, b, ldb, c, ldc, m, n, k] = x;
  // 24 sums, 3 vectors of B and one of A: 28 of the 32 registers.
  constexpr int kRows = 8, kVectors = 3;
  int64_t j = 0;
  for (; j + kVectors * kLanes <= n; j += kVectors * kLanes) {
    for (int64_t i = 0; i < m; i += kRows) {
      block_avx512<kRows, kVectors>(a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc, k);
    }
  }
  for (; j < n; j += kLanes) {
    for (int64_t i = 0; i < m; i += kRows) {
      block_avx512<kRows, 1>(a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc, k);
    }
  }
}

#define PREVIT_AMX __attribute__((target("amx-tile,amx-bf16")))

// 32 by 32 of C: tiles 0 to 3 hold it, 4 and 5 the rows of A, 6 and 7 the columns of B. Strides of
// tiles are in bytes.
PREVIT_AMX void block_amx_2x2(
    const Bf16* a, int64_t lda, const uint32_t* b, int64_t ldb, float* c, int64_t ldc, int64_t k) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t p = 0; p < k; p += 32) {
    _tile_loadd(4, a + p, lda * 2);
    _tile_loadd(6, b + p / 2 * ldb, ldb * 4);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + p / 2 * ldb + 16, ldb * 4);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + 16 * lda + p, lda * 2);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, ldc * 4);
  _tile_stored(1, c + 16, ldc * 4);
  _tile_stored(2, c + 16 * ldc, ldc * 4);
  _tile_stored(3, c + 16 * ldc + 16, ldc * 4);
}

PREVIT_AMX void block_amx_1x1(
    const Bf16* a, int64_t lda, const uint32_t* b, int64_t ldb, float* c, int64_t ldc, int64_t k) {
  _tile_zero(0);
  for (int64_t p = 0; p < k; p += 32) {
    _tile_loadd(4, a + p, lda * 2);
    _tile_loadd(6, b + p / 2 * ldb, ldb * 4);
    _tile_dpbf16ps(0, 4, 6);
  }
  _tile_stored(0, c, ldc * 4);
}

void amx_gemm(const Bf16Product& product) {
  const auto [a, lda, b, ldb, c, ldc, m, n, k] = product;
  for (int64_t i = 0; i < m; i += 32) {
    for (int64_t j = 0; j < n; j += 32) {
      if (i + 32 <= m && j + 32 <= n) {
        block_amx_2x2(a + i * lda, lda, b + j, ldb, c + i * ldc + j, ldc, k);
        continue;
      }
      for (int64_t y = i; y < m && y < i + 32; y += 16) {
        for (int64_t x = j; x < n && x < j + 32; x += 16) {
          block_amx_1x1(a + y * lda, lda, b + x, ldb, c + y * ldc + x, ldc, k);
        }
      }
    }
  }
}

// What LDTILECFG reads (Intel's manual, volume 2): eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
// Not a local variable: GCC thinks that the instruction reads only eight bytes of it.
const TileShapes tile_shapes;

PREVIT_AMX void configure_tiles() { _tile_loadconfig(&tile_shapes); }
PREVIT_AMX void release_tiles() { _tile_release(); }

#endif

}  // namespace

SmallGemm small_gemm(CpuLevel level) {
#ifdef PREVIT_X86
  if (level == CpuLevel::kAmx) return amx_gemm;
  if (level == CpuLevel::kAvx512Bf16) return avx512_gemm;
#endif
  (void)level;
  return generic_gemm;
}

TileMultiples tile_multiples(CpuLevel level) {
  return level == CpuLevel::kAmx ? TileMultiples{16, 32} : TileMultiples{8, 2};
}

GemmScope::GemmScope(CpuLevel level) : level_(level) {
#ifdef PREVIT_X86
  if (level_ == CpuLevel::kAmx) configure_tiles();
#endif
}

GemmScope::~GemmScope() {
#ifdef PREVIT_X86
  if (level_ == CpuLevel::kAmx) release_tiles();
#endif
}

}  // namespace previt
