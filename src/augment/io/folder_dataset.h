#pragma once

#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// Which of "train" and "val" a folder has folders for (test/ and validation/ stand for val).
std::vector<std::string> folder_splits(const std::string& root);

/// The images of a folder. Where all of them lie in folders of their own, these are the classes, in
/// sorted order; divided folders share one list of classes. Throws Error if there are no images.
std::shared_ptr<Dataset> open_folder(const std::string& root,
                                     const std::string& split,
                                     const std::string& cache_folder);

}  // namespace previt
