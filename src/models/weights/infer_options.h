#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/vit_options.h"
#include "models/weights/safetensors.h"

namespace previt {

/// Options of the Vit that these backbone weights belong to. Shapes do not tell num_heads except
/// for relative positions and common widths: it is 0 when they do not. `image_size` is given for
/// tables of positions that are not square, else empty; `otherwise` is for those that `image_size`
/// doesn't fit. Throws Error, led by `place`, for parts that Vit has not.
VitOptions infer_options(const NamedTensors& backbone,
                         const std::vector<int64_t>& image_size,
                         const std::string& place,
                         const std::vector<int64_t>& otherwise = {});

}  // namespace previt
