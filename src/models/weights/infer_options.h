#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/vit_options.h"
#include "models/weights/load_model.h"
#include "models/weights/safetensors.h"

namespace previt {

/// Options of the Vit that these backbone weights belong to. Shapes show num_heads only with
/// relative positions and at common widths; else it is 0. `image_size` ([side] or [height, width],
/// or empty) is needed for position tables that are not square; that of `hints` is used for those
/// that `image_size` does not fit. Throws Error, led by `place`, for parts that Vit does not have.
VitOptions infer_options(const NamedTensors& backbone,
                         const std::vector<int64_t>& image_size,
                         const std::string& place,
                         const LoadHints& hints = {});

}  // namespace previt
