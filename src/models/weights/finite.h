#pragma once

#include <string>

#include "models/weights/safetensors.h"

namespace previt {

/// The name of the first tensor that holds NaN or infinity; "" if there is none.
std::string not_finite(const NamedTensors& tensors);

/// Throws Error, led by `place`, that names the first tensor that holds NaN or infinity.
void require_finite(const NamedTensors& tensors, const std::string& place);

}  // namespace previt
