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
  std::string model_type;             ///< in config.json, as "vit"
  std::string stem;                   ///< of its classes' names, as "ViT"
  std::string prefix;                 ///< of the backbone in a class with a head, as "vit."
  std::string classifier;             ///< end of the name of its class with a head
  std::string other_task;             ///< the same of its class for pre-training; "": none
  RenameTable names;                  ///< as they are written
  std::set<std::string> says;         ///< WeightFormat::says
  std::vector<std::string> beside;    ///< starts of our names of what it has beside the backbone
  bool (*holds)(const LoadedModel&);  ///< whether it has a place for what the model has
  /// Sets the keys of config.json that not all families have. Throws Error for options that the
  /// family does not have.
  void (*settings)(const HfFamily&, const LoadedModel&, nlohmann::json& config);
};

// HfFamily::settings
void hf_vit_settings(const HfFamily& family, const LoadedModel& model, nlohmann::json& config);
void hf_mae_settings(const HfFamily& family, const LoadedModel& model, nlohmann::json& config);
void hf_beit_settings(const HfFamily& family, const LoadedModel& model, nlohmann::json& config);
void hf_dinov2_settings(const HfFamily& family, const LoadedModel& model, nlohmann::json& config);

/// The first family that holds the model; a plain ViT is the last.
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
