#pragma once

/// For an inline function or a lambda that a loop calls which is compiled for several processors:
/// only what is inlined is compiled with it for each of them.
#define PREVIT_INLINE __attribute__((always_inline))
