#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/weights/networks.h"

namespace previt {

/// What a file of weights holds, or several files that belong together.
struct WeightFile {
  StateDicts dicts;  ///< that have a Vision Transformer; of safetensors, all tensors under ""
  std::map<std::string, std::string> metadata;  ///< of safetensors
  NamedTensors loose;    ///< of a file of torch.save: tensors in other dicts, as "dino_loss.center"
  nlohmann::json args;   ///< `args` that torch.save put beside them; else null
  bool pickled = false;  ///< by torch.save
};

/// Reads safetensors and files of torch.save: the first bytes decide, whatever the name ends in.
/// For any other file, throws Error, led by the path, that says what it is.
WeightFile read_weight_file(const std::string& path);

/// The files that a Hugging Face index names (model.safetensors.index.json), with the tensors that
/// it says are in each. Throws Error, led by the path of the index.
std::map<std::string, std::vector<std::string>> files_of_index(const std::string& index);

/// Reads these files, each once.
/// Throws Error, led by the path of the index or of the file.
WeightFile read_sharded_weights(const std::string& index);

}  // namespace previt
