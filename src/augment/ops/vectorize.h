#pragma once

#include "always_inline.h"

/// PREVIT_VECTORIZED compiles a loop for older and newer x86 and picks one at run time (by feature:
/// GCC's "arch=" names match one generation only). The address sanitizer can't follow such
/// functions, and other compilers have no use for them. What they call must be PREVIT_INLINE.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define PREVIT_VECTORIZED __attribute__((target_clones("default", "avx2")))
#else
#define PREVIT_VECTORIZED
#endif
