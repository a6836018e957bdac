#pragma once

#include <string>

#include "models/safetensors.h"

namespace previt {

/// Throws Error, led by `place`, that names the first tensor which holds NaN or infinity.
void require_finite(const NamedTensors& tensors, const std::string& place);

}  // namespace previt
