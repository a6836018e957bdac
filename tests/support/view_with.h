#pragma once

#include "batch.h"
#include "json_options.h"

namespace previt {

/// A view of whole images of one size, in which the operation `key` always happens and no other.
inline ViewSpec view_with(const std::string& key, int64_t height, int64_t width) {
  const nlohmann::json on =
      key == "rand_augment" ? nlohmann::json("rand-m9-p1-inc1") : nlohmann::json(1);
  return options_from_json<ViewSpec>(
      {{"height", height}, {"width", width}, {"crop", "none"}, {"flip", 0}, {key, on}}, "test");
}

}  // namespace previt
