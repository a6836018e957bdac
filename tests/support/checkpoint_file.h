#pragma once

#include <cstdint>
#include <string>

#include "models/vit_options.h"

namespace previt::test {

/// A ViT of two blocks, width 24, three heads, for images of 16 pixels in patches of 8.
VitOptions small_vit();

/// Writes random weights of a model as FOLDER/tiny.safetensors and returns the path.
std::string tiny_checkpoint(const std::string& folder, const VitOptions& options = small_vit());

}  // namespace previt::test
