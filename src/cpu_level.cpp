#include "cpu_level.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "options.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace previt {
namespace {

#if defined(__x86_64__)
// Whether the processor has AMX's bfloat16 tiles and Linux lets this process use them.
bool have_amx() {
  unsigned eax, ebx, ecx, edx;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
  // Bits of EDX in leaf 7: AMX-BF16 and AMX-TILE.
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if ((edx & kBf16) == 0 || (edx & kTile) == 0) return false;
#if defined(__linux__)
  // Linux's ARCH_REQ_XCOMP_PERM and XFEATURE_XTILE_DATA, which older headers don't have.
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

CpuLevel find_machine_level() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
  if (bf16) return have_amx() ? CpuLevel::kAmx : CpuLevel::kAvx512Bf16;
  return avx512 ? CpuLevel::kAvx512 : avx2 ? CpuLevel::kAvx2 : CpuLevel::kBaseline;
#else
  return CpuLevel::kBaseline;
#endif
}

std::atomic<CpuLevel>& current() {
  static std::atomic<CpuLevel> level = machine_level();
  return level;
}

// How other libraries name the level that is nearest from below.
struct LibraryNames {
  const char *onednn, *mkl, *aten;
};

LibraryNames library_names(CpuLevel level) {
  switch (level) {
    case CpuLevel::kBaseline:
      return {"SSE41", "SSE4_2", "default"};
    case CpuLevel::kAvx2:
      return {"AVX2", "AVX2", "avx2"};
    case CpuLevel::kAvx512:
      return {"AVX512_CORE_VNNI", "AVX512", "avx512"};
    case CpuLevel::kAvx512Bf16:
      return {"AVX512_CORE_BF16", "AVX512_E3", "avx512"};
    case CpuLevel::kAmx:
      return {"AVX512_CORE_AMX", "AVX512_E4", "avx512"};
  }
  std::abort();
}

}  // namespace

CpuLevel machine_level() {
  static const CpuLevel level = find_machine_level();
  return level;
}

CpuLevel cpu_level() { return current().load(std::memory_order_relaxed); }

void limit_cpu_level(CpuLevel level) { current() = std::min(level, machine_level()); }

void limit_cpu_level_by_environment() {
  const char* asked = std::getenv("PREVIT_CPU_LEVEL");
  if (asked == nullptr || *asked == 0) return;
  limit_cpu_level(enum_named<CpuLevel>(asked, "PREVIT_CPU_LEVEL"));
  if (cpu_level() == machine_level()) return;
  const LibraryNames others = library_names(cpu_level());
  setenv("ONEDNN_MAX_CPU_ISA", others.onednn, 1);
  setenv("MKL_ENABLE_INSTRUCTIONS", others.mkl, 1);
  setenv("ATEN_CPU_CAPABILITY", others.aten, 1);
  // On an AMD processor MKL reads nothing else, and stays at AVX2.
  if (cpu_level() == CpuLevel::kBaseline) setenv("MKL_CBWR", "COMPATIBLE", 1);
}

}  // namespace previt
