#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

/// The same images under another list of classes: class i of `dataset` becomes class numbers[i] of
/// `class_names`. Images without a class keep none.
std::shared_ptr<Dataset> relabel(std::shared_ptr<Dataset> dataset,
                                 std::vector<int64_t> numbers,
                                 std::vector<std::string> class_names);

}  // namespace previt
