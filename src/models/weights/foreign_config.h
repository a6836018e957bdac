#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "models/weights/load_model.h"

namespace previt {

// What other code bases write beside their weights: Hugging Face's config.json, timm's config.json,
// or the command-line arguments in an official .pth. `config` may be null, and any key may be
// missing.

/// Key in the arguments of an official .pth that we wrote: what its shapes don't tell, in the words
/// of timm's config.json.
constexpr const char* kOwnArguments = "previt";

/// [side], [height, width], or empty if it does not say.
std::vector<int64_t> image_size_in(const nlohmann::json& config);

/// The inverse: a number for [side], else [height, width].
nlohmann::json config_image_size(const VitOptions& options);

/// Mean and standard deviation of one half for each channel.
NormalizeOptions half_normalize(int64_t channels);

/// Adds to LoadedModel::guesses, unless the normalisation is known or said, that the usual one is
/// taken; `usual`: why, or "".
void guess_normalization(LoadedModel& model, const LoadHints& hints, const std::string& usual = "");

/// Sets what shapes can't show: heads, LayerNorm's eps, normalisation, class names. The model has
/// its weights. Throws Error, led by its source, where it computes something else than ours.
void apply_config(const nlohmann::json& config, LoadedModel& model);

/// Sets the normalisation and the evaluation's crop from Hugging Face's preprocessor_config.json.
void apply_preprocessor(const nlohmann::json& config, LoadedModel& model);

}  // namespace previt
