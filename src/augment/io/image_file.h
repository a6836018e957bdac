#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "augment/dataset/dataset.h"

namespace previt {

/// Whether `path` is a file other than a pack, judged by its first bytes and its ending.
bool is_image_file(const std::string& path);

/// A reader of image files: sample `index` is the file `path(index)`.
std::unique_ptr<SampleReader> image_file_reader(std::function<std::string(int64_t)> path);

/// A dataset of one image. The folder that it lies in is not read. The sample's name is the file's.
std::shared_ptr<Dataset> open_image_file(const std::string& path);

}  // namespace previt
