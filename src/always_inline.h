#pragma once

/// Marks a function or lambda that is called by a loop compiled for several processors
/// (target_clones). Only what is inlined into such a loop is compiled for each of them.
#define PREVIT_INLINE __attribute__((always_inline))
