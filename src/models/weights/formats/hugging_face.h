#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "models/weights/load_model.h"
#include "models/weights/naming.h"

namespace previt {

/// One of transformers' families of Vision Transformers.
struct HfFamily {
  std::string model_type;           ///< in config.json, as "vit"
  std::string stem;                 ///< of its classes' names, as "ViT"
  std::string prefix;               ///< of the backbone in a class with a head, as "vit."
  std::string classifier;           ///< end of the name of its class with a head
  std::string other_task;           ///< the same of its class for pre-training; "": none
  RenameTable names;                ///< as they are written
  std::set<std::string> says;       ///< WeightFormat::says
  std::vector<std::string> beside;  ///< starts of our names of what it has beside the backbone
};

/// The family that can hold the model: by the decoder, then by what its options ask for.
const HfFamily& hf_family(const LoadedModel& model);

/// The class of the family that fits the model, as "ViTForImageClassification" with a head and
/// "ViTModel" without.
std::string hf_class(const HfFamily& family, const LoadedModel& model);

/// config.json. If the model was read with a configuration of the same family, its other keys stay.
/// Throws Error for options that the family does not have.
nlohmann::json hf_config(const HfFamily& family, const LoadedModel& model);

/// preprocessor_config.json: size and normalisation of images.
nlohmann::json hf_preprocessor(const LoadedModel& model);

}  // namespace previt
