#include "augment/ops/operation.h"

#include <algorithm>

#include "augment/ops/rand_augment.h"
#include "error.h"
#include "recipe.h"

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

std::string operations_text() {
  std::string text;
  for (const auto& operation : operations()) {
    RecipeWriter fields;
    ViewSpec defaults;
    operation.row->visit(fields, defaults);
    text += fmt::format("# {}; {} a fixed view\n{}",
                        operation.apply_batch ? "host and device" : "host only",
                        operation.row->in_fixed_view ? "also in" : "not in",
                        fields.text());
  }
  std::vector<std::string> names;
  for (const auto& row : rand_operations()) names.emplace_back(row.name);
  return text + fmt::format("# rand_augment draws from {}\n", fmt::join(names, ", "));
}

}  // namespace previt
