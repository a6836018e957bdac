#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "models/weights/load_model.h"
#include "models/weights/naming.h"

namespace previt {

/// One of transformers' families of Vision Transformers.
struct HfFamily {
  std::string model_type;      ///< in config.json: "vit"
  std::string stem;            ///< of its classes' names: "ViT"
  std::string prefix;          ///< of the backbone inside a class with a head: "vit."
  std::string classifier;      ///< ends the name of its class with a head
  std::string other_task;      ///< ends that of its class for pre-training; "": none
  RenameTable names;           ///< that are written
  std::set<std::string> says;  ///< WeightFormat::says
};

/// The family that can hold the model: by the decoder, then by what its options ask for.
const HfFamily& hf_family(const LoadedModel& model);

/// The class of the family: "ViTForImageClassification" with a head, "ViTModel" without …
std::string hf_class(const HfFamily& family, const LoadedModel& model);

/// config.json. What a configuration of the same family that the model was read with says besides,
/// stays.
nlohmann::json hf_config(const HfFamily& family, const LoadedModel& model);

/// preprocessor_config.json: size and normalisation of images.
nlohmann::json hf_preprocessor(const LoadedModel& model);

}  // namespace previt
