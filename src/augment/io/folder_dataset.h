#pragma once

#include <memory>
#include <set>
#include <string>

#include "augment/dataset/dataset.h"

namespace previt {

/// The splits that find_layout sees in the folder: train, val, both or, if it is undivided, none.
std::set<Split> folder_splits(const std::string& root);

/// The images of a folder, as read_folder_data finds them. Logs once how it understood the folder.
/// With a `cache_folder`, all ranks of a run call this together: rank 0 reads the folder and gives
/// the others its listing. Throws Error if there are no images.
std::shared_ptr<Dataset> open_folder(const std::string& root,
                                     Split split,
                                     const std::string& cache_folder);

}  // namespace previt
