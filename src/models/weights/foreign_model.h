#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "models/weights/networks.h"

namespace previt {

/// Weights under our names.
struct NamedWeights {
  /// What Vit has: cls_token, dist_token, pos_embed, reg_token, blocks, norm, fc_norm, head,
  /// head_dist.
  NamedTensors backbone;
  /// The rest of the same file under its official names: decoder_embed, mask_token, lm_head …
  NamedTensors extra;
};

/// One network as the files of a code base hold it: what a format reads, and what it writes.
struct ForeignModel {
  std::string place;     ///< leads errors: the file
  std::string key;       ///< of its state_dict in a file of torch.save, as "teacher"; "": the file
  std::string prefix;    ///< before the names of `network` in the state_dict, as "backbone."
  NamedTensors network;  ///< its own tensors under the code base's names, without the prefix
  NamedTensors beside;   ///< the others of the state_dict, which no network holds: heads, decoders
  /// What stands beside that state_dict in a file of torch.save, by key: "student", "dino_loss".
  /// Only written.
  std::map<std::string, NamedTensors> others = {};
  nlohmann::json config;        ///< config.json, or the arguments in a .pth; else null
  nlohmann::json preprocessor;  ///< Hugging Face's preprocessor_config.json; else null
  std::map<std::string, std::string> metadata;  ///< the header of safetensors
  bool pickled = false;                         ///< in a file of torch.save
  /// What official_weights() made of the tensors, which must not change after its first call.
  mutable std::shared_ptr<const NamedWeights> official = nullptr;

  /// The tensor of this name in `network`, else in `beside`; null if there is none.
  const at::Tensor* find(const std::string& name) const;
  /// All tensors under the names that they have in the file.
  NamedTensors state_dict() const;
};

/// Takes one network out of a state_dict. Tensors of no network, such as a head beside a backbone,
/// lose only the prefix that all names share. Other networks are left out.
ForeignModel take_network(const NamedTensors& weights, const Network& network);

}  // namespace previt
