#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "models/weights/networks.h"

namespace previt {

/// What a file of weights holds, or several that belong together.
struct WeightFile {
  StateDicts dicts;  ///< those with a Vision Transformer; of safetensors all tensors, under ""
  std::map<std::string, std::string> metadata;  ///< of safetensors
  nlohmann::json args;                          ///< that torch.save was given beside them, or null
  bool pickled = false;                         ///< by torch.save
};

/// Reads safetensors and files of torch.save: the first bytes decide, whatever the name ends in.
/// Throws Error, led by the path, that says what a file is that is neither.
WeightFile read_weight_file(const std::string& path);

/// Reads the files that a Hugging Face index names (model.safetensors.index.json), each once.
WeightFile read_sharded_weights(const std::string& index);

}  // namespace previt
