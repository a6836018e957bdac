#pragma once

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <string>
#include <vector>

#include "models/weights/checkpoint.h"

namespace previt::test {

inline Checkpoint newest_checkpoint(const std::string& run) {
  std::vector<std::string> warnings;
  return load_latest(run, warnings);
}

inline bool same_tensors(const NamedTensors& a, const NamedTensors& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) {
           return b.contains(item.first) && torch::equal(item.second, b.at(item.first));
         });
}

inline std::string step_folder(const std::string& run, int64_t step) {
  return fmt::format("{}/checkpoints/step_{:08}", run, step);
}

/// Bit for bit: the kept model, the rest of the objective, the optimizer and the averages.
inline bool same_checkpoint(const Checkpoint& a, const Checkpoint& b) {
  return same_tensors(a.backbone, b.backbone) && same_tensors(a.training, b.training);
}

}  // namespace previt::test
