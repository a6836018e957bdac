#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "models/weights/safetensors.h"

namespace previt {

/// Writes what torch.save would of a dict: the state_dicts by their keys, or the one under "" as
/// the file itself, and `args` beside them unless it is null. torch.load reads it with
/// weights_only=True too, as plain dicts of tensors; read_pth reads the same. The file is flushed
/// to disk and appears under its name only once it is whole. Throws Error led by the path.
void write_pth(const std::string& path,
               const std::map<std::string, NamedTensors>& dicts,
               const nlohmann::json& args = nullptr);

}  // namespace previt
