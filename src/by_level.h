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
#endif

namespace previt {

/// How many floats a register of a level holds. Vectors of twice that compile to poor code.
template <int N>
using Lanes = std::integral_constant<int, N>;

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
}  // namespace levels
#endif

/// loop(Lanes<N>()) in the copy for cpu_level(). loop: `[=](auto lanes) PREVIT_INLINE { … }`.
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

}  // namespace previt
