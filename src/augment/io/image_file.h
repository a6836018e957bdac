#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "augment/dataset/dataset.h"

namespace previt {

/// Whether `path` is a file other than a pack, by its first bytes.
bool is_image_file(const std::string& path);

/// Reads the image files at `path(index)`.
std::unique_ptr<SampleReader> image_file_reader(std::function<std::string(int64_t)> path);

/// One image by its path; the folder it lies in is not looked at. Its name is the file's.
std::shared_ptr<Dataset> open_image_file(const std::string& path);

}  // namespace previt
