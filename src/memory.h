#pragma once

#include <cstdint>

namespace previt {

/// Makes the C library keep freed memory instead of giving it back to the system, whose fresh pages
/// cost several times the arithmetic of an elementwise operation, and to take it in huge pages;
/// tensors get memory of few different sizes, and c10::OutOfMemoryError where there is none. Call
/// it first thing in a program.
void tune_allocator();

/// The most memory that this process has had resident so far, in bytes (VmHWM); 0 where the system
/// does not say.
int64_t peak_memory();

/// The most memory that this process could have, in bytes: what it holds and what is free in the
/// machine or its container; 0 where the system does not say.
int64_t obtainable_memory();

}  // namespace previt
