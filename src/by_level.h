#pragma once

#include <type_traits>

#include "cpu_level.h"

// One source for several processors: by_level() calls a copy of a loop that is compiled for the
// level that runs. The copies are chosen by features at run time, without the loader's help, so
// sanitizers and other compilers than GCC can do it too.

/// Marks what is compiled for each level: the lambda given to by_level and all that it calls.
#define PREVIT_INLINE __attribute__((always_inline))

#if defined(__x86_64__)
#define PREVIT_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define PREVIT_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define PREVIT_TARGET_AVX512_BF16 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))
#endif

namespace previt {

/// The registers that a copy is compiled for. A type of template parameters.
struct Registers {
  int floats;        ///< how many one holds; vectors of twice that compile to poor code
  bool rounds_bf16;  ///< whether an instruction rounds them to bfloat16

  constexpr Registers(int floats, bool rounds_bf16 = false)
      : floats(floats), rounds_bf16(rounds_bf16) {}
};
template <Registers R>
using Lanes = std::integral_constant<Registers, R>;

#if defined(__x86_64__)
namespace levels {
template <class Loop>
PREVIT_TARGET_AVX2 auto avx2(Loop loop) {
  return loop(Lanes<8>());
}
template <class Loop>
PREVIT_TARGET_AVX512 auto avx512(Loop loop) {
  return loop(Lanes<16>());
}
template <class Loop>
PREVIT_TARGET_AVX512_BF16 auto avx512_bf16(Loop loop) {
  return loop(Lanes<Registers(16, true)>());
}
}  // namespace levels
#endif

/// loop(Lanes<R>()) in the copy for cpu_level(). loop: `[=](auto lanes) PREVIT_INLINE { … }`.
/// Capture by value: through references the compiler fears that the loop changes them.
template <class Loop>
auto by_level(const Loop& loop) {
#if defined(__x86_64__)
  const CpuLevel level = cpu_level();
  if (level >= CpuLevel::kAvx512) return levels::avx512(loop);
  if (level >= CpuLevel::kAvx2) return levels::avx2(loop);
#endif
  return loop(Lanes<4>());
}

/// The same for a loop that rounds to bfloat16: one copy more, for levels that have an instruction
/// for it.
template <class Loop>
auto by_level_bf16(const Loop& loop) {
#if defined(__x86_64__)
  if (cpu_level() >= CpuLevel::kAvx512Bf16) return levels::avx512_bf16(loop);
#endif
  return by_level(loop);
}

}  // namespace previt
