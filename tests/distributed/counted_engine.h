#pragma once

#include <cstdint>

namespace previt::test {

/// Operations of the counted device's engine so far. A program that links counted_engine.cpp has it
/// in place of NCCL. As NCCL's on one machine, its operations only enqueue, and never end where a
/// rank is gone. A device's identity is its rank's, or COUNTED_IDENTITY.
int64_t counted_operations();

}  // namespace previt::test
