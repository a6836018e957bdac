#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "models/weights/load_model.h"

namespace previt {

/// What other code bases write beside their weights: Hugging Face's config.json, timm's
/// config.json, or the command-line arguments in an official .pth. `config` may be null or lack
/// anything.

/// [side], [height, width], or empty when it says nothing.
std::vector<int64_t> image_size_in(const nlohmann::json& config);

/// The inverse: a number for [side], else [height, width].
nlohmann::json config_image_size(const VitOptions& options);

/// Overrides what shapes can't tell: heads, LayerNorm eps, normalisation, class names.
void apply_config(const nlohmann::json& config, LoadedModel& model);

/// preprocessor_config.json: normalisation.
void apply_preprocessor(const nlohmann::json& config, LoadedModel& model);

}  // namespace previt
