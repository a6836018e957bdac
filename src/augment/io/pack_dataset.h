#pragma once

#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// Opens a file that pack_dataset wrote (pack_format.h). Throws Error if it is damaged, unfinished
/// or not a pack, or has no such split.
std::shared_ptr<Dataset> open_pack(const std::string& path, const std::string& split);

/// Which of "train" and "val" the pack has images of.
std::vector<std::string> pack_splits(const std::string& path);

}  // namespace previt
