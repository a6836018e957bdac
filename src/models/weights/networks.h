#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/weights/safetensors.h"

namespace previt {

/// The weight by which a Vision Transformer is found in most code bases, timm's and ours among
/// them.
constexpr const char* kPatchEmbed = "patch_embed.proj.weight";

/// What stands before the names of each Vision Transformer in a state_dict; "" for a plain one.
/// They are those of the first format (WeightFormat::patch_embed) that has any there.
std::vector<std::string> network_prefixes(const NamedTensors& weights);

/// A Vision Transformer in a file of weights, which may hold several: a student and its teacher,
/// weights and their moving average.
struct Network {
  std::string key;     ///< of its state_dict in the file; "": the file is one itself
  std::string prefix;  ///< of its weights' names in the state_dict, as "model.backbone."

  std::string name() const;  ///< both, as "state_dict.model.backbone"
  std::string kind() const;  ///< by its name: teacher, student, ema, else model
};

/// state_dicts of a file by their keys.
using StateDicts = std::map<std::string, NamedTensors>;

/// All networks of a file in order of preference: first a teacher, then trained weights, then their
/// moving average, then a student; of the same kind, the least wrapped one first. `wanted`, a kind,
/// a key or a name, puts that network first. Throws Error, led by `place`, if there is no network,
/// or none that is wanted.
std::vector<Network> networks_in(const StateDicts& dicts,
                                 const std::string& place,
                                 const std::string& wanted = "");

/// Removes what torch.compile, FSDP and activation checkpointing put into the names.
NamedTensors without_wrappers(const NamedTensors& weights);

}  // namespace previt
