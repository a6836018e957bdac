#include "augment/ops/operation.h"

#include <algorithm>

#include "error.h"

namespace previt {

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
