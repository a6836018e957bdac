#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "models/weights/pickle.h"
#include "models/weights/safetensors.h"

namespace previt {

/// A file of torch.save, read without executing anything in it.
struct PthFile {
  PickleArena values;
  const PickleValue* root = nullptr;
};

/// Reads the zip format, the one before PyTorch 1.6, and a plain pickle. Tensors that share memory
/// in the file share it here too, and none needs the file. Throws Error, led by the path, for
/// damaged and hostile files.
PthFile read_pth(const std::string& path);
/// The same from bytes in memory; `name` leads errors.
PthFile parse_pth(const std::string& bytes, const std::string& name);

/// The tensors that a dict holds directly (a state_dict), by key.
NamedTensors tensors_in(const PickleValue& dict);

/// Plain data (argparse.Namespace too) as JSON; null for anything else, such as tensors. Throws
/// Error for data that is nested too deeply or too large.
nlohmann::json pickle_to_json(const PickleValue& value);

}  // namespace previt
