#pragma once

#include <memory>
#include <set>
#include <string>

#include "augment/dataset/dataset.h"

namespace previt {

/// Opens a file that pack_dataset wrote (pack_format.h). Throws Error if it is damaged, unfinished
/// or not a pack, or has no such split.
std::shared_ptr<Dataset> open_pack(const std::string& path, Split split);

/// The splits that the pack has images of: train, val or both.
std::set<Split> pack_splits(const std::string& path);

}  // namespace previt
