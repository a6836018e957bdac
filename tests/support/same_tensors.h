#pragma once

#include "models/weights/safetensors.h"
#include "support/catch.h"

namespace previt {

/// Checks that both have the same names with the same shapes, types and values.
inline void check_same_tensors(const NamedTensors& got, const NamedTensors& want) {
  for (const auto& [name, tensor] : got) {
    INFO(name);
    CHECK(want.contains(name));
  }
  for (const auto& [name, tensor] : want) {
    INFO(name);
    const auto it = got.find(name);
    const bool same = it != got.end() && it->second.scalar_type() == tensor.scalar_type() &&
                      torch::equal(it->second, tensor);
    CHECK(same);
  }
}

}  // namespace previt
