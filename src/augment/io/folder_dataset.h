#pragma once

#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// Which of "train" and "val" a folder has folders for, as find_layout knows them.
std::vector<std::string> folder_splits(const std::string& root);

/// The images of a folder, as read_folder_data finds them; once says what it made of them. Throws
/// Error if there are no images.
std::shared_ptr<Dataset> open_folder(const std::string& root,
                                     const std::string& split,
                                     const std::string& cache_folder);

}  // namespace previt
