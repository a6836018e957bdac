#pragma once

#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// Which of "train" and "val" the folder is divided into, as find_layout sees it.
std::vector<std::string> folder_splits(const std::string& root);

/// The images of a folder, as read_folder_data finds them. Logs once how it understood the folder.
/// Throws Error if there are no images.
std::shared_ptr<Dataset> open_folder(const std::string& root,
                                     const std::string& split,
                                     const std::string& cache_folder);

}  // namespace previt
