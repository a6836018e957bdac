#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "models/weights/networks.h"

namespace previt {

/// One network as the files of a code base hold it: what a format reads, and what it writes.
struct ForeignModel {
  std::string place;      ///< leads errors: the file
  std::string key;        ///< of its state_dict in a file of torch.save, "teacher"; "": the file
  std::string prefix;     ///< before the names of `network` in the state_dict, "backbone."
  NamedTensors network;   ///< its own tensors under the code base's names, without the prefix
  NamedTensors beside;    ///< the others of the state_dict, which no network holds: heads, decoders
  nlohmann::json config;  ///< config.json, or the arguments in a .pth; else null
  nlohmann::json preprocessor;  ///< Hugging Face's preprocessor_config.json; else null
  std::map<std::string, std::string> metadata;  ///< the header of safetensors
  bool pickled = false;                         ///< in a file of torch.save

  /// Of `network`, else of `beside`; null when there is none.
  const at::Tensor* find(const std::string& name) const;
  /// All tensors under the names that they have in the file.
  NamedTensors state_dict() const;
};

/// The network of a state_dict. What no network holds, as a head beside a backbone, loses only what
/// wraps everything; other networks are left out.
ForeignModel take_network(const NamedTensors& weights, const Network& network);

}  // namespace previt
