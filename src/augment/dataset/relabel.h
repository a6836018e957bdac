#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// The same images with the classes of another list: class i of `dataset` becomes numbers[i] of
/// `class_names`.
std::shared_ptr<Dataset> relabel(std::shared_ptr<Dataset> dataset,
                                 std::vector<int64_t> numbers,
                                 std::vector<std::string> class_names);

}  // namespace previt
