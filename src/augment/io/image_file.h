#pragma once

#include <memory>
#include <string>

#include "augment/dataset/dataset.h"

namespace previt {

/// Whether `path` is a file other than a pack, by its first bytes.
bool is_image_file(const std::string& path);

/// One image by its path; the folder it lies in is not looked at. Its name is the file's.
std::shared_ptr<Dataset> open_image_file(const std::string& path);

}  // namespace previt
