#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/weights/safetensors.h"
#include "support/zip_writer.h"

namespace previt::test {

/// Pickles of a text, of a whole number, and of a tuple of whole numbers.
inline std::string pickled(const std::string& text) {
  return std::string("X").append(little_endian(text.size(), 4)).append(text);
}
inline std::string pickled(int64_t value) {
  return "\x8a\x08" + little_endian(static_cast<uint64_t>(value), 8);
}
inline std::string pickled(at::IntArrayRef values) {
  std::string items = "(";
  for (const int64_t value : values) items += pickled(value);
  return items + "t";
}

/// The bytes that torch.save writes for float tensors: a dict of state_dicts, or the one under ""
/// alone. `more` is the pickle of further keys and values.
inline std::string torch_save(const std::map<std::string, NamedTensors>& dicts,
                              const std::string& more = "") {
  std::vector<std::pair<std::string, std::string>> files = {{"archive/data.pkl", ""}};
  const auto pickled_dict = [&](const NamedTensors& weights) {
    std::string items = "ccollections\nOrderedDict\n)R(";
    for (const auto& [name, tensor] : weights) {
      const at::Tensor plain = tensor.detach().contiguous();
      const std::string key = std::to_string(files.size() - 1);
      files.emplace_back(
          "archive/data/" + key,
          std::string(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()));
      items += pickled(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + pickled("storage") +
               "ctorch\nFloatStorage\n" + pickled(key) + pickled("cpu") + pickled(plain.numel()) +
               "tQ" + pickled(0) + pickled(plain.sizes()) + pickled(plain.strides()) + "\x89)tR";
    }
    return items + "u";
  };
  std::string root;
  if (dicts.contains("")) {
    root = pickled_dict(dicts.at(""));
  } else {
    root = "}(";
    for (const auto& [key, weights] : dicts) root += pickled(key) + pickled_dict(weights);
    root += more + "u";
  }
  files.front().second = "\x80\x02" + root + ".";
  return write_zip(files);
}

}  // namespace previt::test
