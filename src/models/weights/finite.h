#pragma once

#include <string>

#include "models/weights/safetensors.h"

namespace previt {

/// The first tensor which holds NaN or infinity, by its name; "": there is none.
std::string not_finite(const NamedTensors& tensors);

/// Throws Error, led by `place`, that names the first tensor which holds NaN or infinity.
void require_finite(const NamedTensors& tensors, const std::string& place);

}  // namespace previt
