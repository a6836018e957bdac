#pragma once

#include <memory>
#include <string>

#include "pretrain/registry.h"
#include "recipe.h"
#include "settings.h"

namespace previt {

/// A kNN score of the features while training goes on (tools: commands/knn_score): on the
/// validation split, or on a tenth of each class where there is none. Labels are used for nothing
/// else.
struct KnnScoreOptions {
  int64_t epochs = 10;          ///< score every so many epochs and at the end; 0: never
  int64_t k = 20;               ///< neighbours that vote
  double temperature = 0.07;    ///< of their votes
  int64_t train_images = 5000;  ///< compared with at the most, evenly from all
  int64_t test_images = 1000;   ///< classified at the most
};
void visit(FieldVisitor& v, KnnScoreOptions& o);

/// What a recipe has under `objective:`, else `otherwise`. UsageError where it is none of `known`.
std::string objective_in(Recipe& recipe, const std::string& otherwise, const Choices& known = {});

/// A pretraining run as a recipe describes it: the sections that all have, and the method's own.
struct PretrainRun {
  RunOptions options;
  KnnScoreOptions knn;
  std::unique_ptr<ObjectiveRecipe> objective;
  KeyPlaces places = {};  ///< of the recipe's keys, for what only a later check finds wrong

  /// The official defaults of the method under `objective:`, then the recipe's keys. A key that
  /// means nothing, a wrong type or value: UsageError led by its place.
  static PretrainRun read(Recipe& recipe);

  /// UsageError, led by its place, for keys that don't go together.
  std::shared_ptr<Objective> build(const TensorFileOpener& open = {}) const {
    return places.around([&] { return objective->build(options, open); });
  }

  /// Every option with its value, as YAML that reads back to the same run.
  std::string resolved() const;
  Settings settings() const;  ///< the same as a list
};

}  // namespace previt
