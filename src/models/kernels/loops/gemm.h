#pragma once

#include <cstdint>

#include "cpu_level.h"
#include "models/kernels/loops/simd.h"

namespace previt {

/// C [m, n] = A B for bfloat16 operands that fit a core's cache; sums are float32. a: m rows of k
/// values, `lda` apart. b: rows in pairs, dword (j, c) = (B[2j][c], B[2j+1][c]), `ldb` dwords from
/// pair to pair. c: m rows, `ldc` floats apart. m and k are multiples of tile_multiples(), n of 16.
struct Bf16Product {
  const simd::Bf16* a;
  int64_t lda;
  const uint32_t* b;
  int64_t ldb;
  float* c;
  int64_t ldc, m, n, k;
};

/// Computes it on one thread.
using SmallGemm = void (*)(const Bf16Product& x);

/// The fastest of the level. To be called while a GemmScope of the same level lives.
SmallGemm small_gemm(CpuLevel level);

/// What m (`rows`) and k (`inner`) have to be multiples of for small_gemm(level).
struct TileMultiples {
  int64_t rows, inner;
};
TileMultiples tile_multiples(CpuLevel level);

/// Sets up the calling thread for a level's SmallGemm while it lives (AMX: the tiles' shapes).
class GemmScope {
 public:
  explicit GemmScope(CpuLevel level);
  ~GemmScope();
  GemmScope(const GemmScope&) = delete;
  GemmScope& operator=(const GemmScope&) = delete;

 private:
  CpuLevel level_;
};

}  // namespace previt
