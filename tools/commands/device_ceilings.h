#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace previt::cli {

/// What a device reaches where nothing else is in the way: what a step's speed is held against.
struct Ceilings {
  double flops = 0;  ///< a second, in a product of large square matrices of the given type
  double bytes = 0;  ///< a second, read and written, in a copy within its memory
};

/// Measures both with LibTorch's operators: on a GPU a product of 8192 and a copy of a GiB, on the
/// CPU smaller ones in a fraction of a second.
Ceilings measure_ceilings(at::Device device, at::ScalarType type);

}  // namespace previt::cli
