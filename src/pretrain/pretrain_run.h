#pragma once

#include <memory>
#include <string>

#include "pretrain/registry.h"
#include "recipe.h"
#include "settings.h"

namespace previt {

/// A pretraining run as a recipe describes it: the sections that all have, and the method's own.
struct PretrainRun {
  RunOptions options;
  std::unique_ptr<ObjectiveRecipe> objective;

  /// The official defaults of the method under `objective:`, then the recipe's keys. A key that
  /// means nothing, a wrong type or value: UsageError led by its place.
  static PretrainRun read(Recipe& recipe);

  std::shared_ptr<Objective> build() const { return objective->build(options); }

  /// Every option with its value, as YAML that reads back to the same run.
  std::string resolved() const;
  Settings settings() const;  ///< the same as a list
};

}  // namespace previt
