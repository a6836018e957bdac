#pragma once

#include <string>

#include "models/weights/safetensors.h"

namespace previt {

/// Why weights without a Vision Transformer of ours can't be read, for errors: the kind of network
/// that their names belong to, where it is a known one, else `otherwise` and where to look.
std::string why_not_read(const NamedTensors& weights, const std::string& otherwise);

/// What timm's network of this name computes although its tensors are those of a Vision Transformer
/// of ours, as "rotary positions"; "" for all others.
std::string what_timm_computes(const std::string& architecture);

}  // namespace previt
