#pragma once

#include <array>

namespace previt {

/// Instructions that PreViT's own loops are compiled for. Each level has those of the levels before.
enum class CpuLevel {
  kBaseline,    ///< what every processor of the architecture has: SSE2 on x86-64, NEON on ARM
  kAvx2,        ///< and FMA: x86-64-v3
  kAvx512,      ///< F, BW, DQ and VL: x86-64-v4
  kAvx512Bf16,  ///< products of bfloat16 pairs
  kAmx,         ///< tiles of bfloat16
};

constexpr auto enum_names(CpuLevel) {
  return std::array{"baseline", "avx2", "avx512", "avx512_bf16", "amx"};
}

/// The highest level of this processor and its operating system.
CpuLevel machine_level();

/// The level whose loops run: that of the machine, or a lower one that limit_cpu_level set.
CpuLevel cpu_level();

/// Loops of `level` at most run from now on. For tests, and before other threads are started.
void limit_cpu_level(CpuLevel level);

/// What the environment variable PREVIT_CPU_LEVEL names, if it is set, limits everything that
/// computes: the loops, and by their own variables oneDNN, MKL and LibTorch's operators. To be
/// called before any of them computes: they look once. Throws UsageError for an unknown name.
void limit_cpu_level_by_environment();

}  // namespace previt
