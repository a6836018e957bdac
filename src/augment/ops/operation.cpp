#include "augment/ops/operation.h"

#include <algorithm>

#include "error.h"

namespace previt {

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = matched_rows({rand_augment_operation(),
                                                          jitter_operation(),
                                                          greyscale_operation(),
                                                          blur_operation(),
                                                          solarize_operation(),
                                                          sharpness_operation()});
  return all;
}

std::vector<Operation> matched_rows(const std::vector<Operation>& made) {
  const auto rows = view_operations();
  std::vector<Operation> ordered;
  for (const auto& row : rows) {
    const auto found = std::find_if(
        made.begin(), made.end(), [&](const Operation& one) { return one.key == row.key; });
    require(found != made.end(), "augmentation: {} has no pixel code", row.key);
    ordered.push_back(*found);
    ordered.back().row = &row;
  }
  require(made.size() == rows.size(),
          "augmentation: pixel code of {} operations, recipes have {}",
          made.size(),
          rows.size());
  return ordered;
}

}  // namespace previt
