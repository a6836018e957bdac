#pragma once

/// Compiles a loop for several generations of x86 and picks one at run time. The address sanitizer
/// can't follow such functions, and other compilers have no use for them.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define PREVIT_VECTORIZED \
  __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))
#else
#define PREVIT_VECTORIZED
#endif
