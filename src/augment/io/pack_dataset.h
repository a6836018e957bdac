#pragma once

#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// A file that pack_dataset wrote (pack_format.h). Throws Error if it is damaged, unfinished, not a
/// pack, or has no such split.
std::shared_ptr<Dataset> open_pack(const std::string& path, const std::string& split);

/// Which of "train" and "val" it has images of.
std::vector<std::string> pack_splits(const std::string& path);

}  // namespace previt
