#pragma once

#include <cstdint>

namespace previt {

/// Call it first in a program. From then on the C library keeps freed memory instead of giving it
/// back to the system, whose fresh pages cost several times the arithmetic of an elementwise
/// operation, and takes memory in huge pages. Tensors get blocks of a few sizes; if there is no
/// memory left for one, c10::OutOfMemoryError is thrown.
void tune_allocator();

/// Bytes in main memory that tensors made since tune_allocator() hold now, and the most that they
/// held since restart_tensor_peak().
struct TensorMemory {
  int64_t now = 0, peak = 0;
};
TensorMemory tensor_memory();
void restart_tensor_peak();

/// The most memory that this process has had resident so far, in bytes (VmHWM); 0 if the system
/// does not report it.
int64_t peak_memory();

/// The most memory that this process could have, in bytes: what it holds and what is free in the
/// machine or its container; 0 if the system does not report it.
int64_t obtainable_memory();

}  // namespace previt
