#pragma once

#include <memory>
#include <string>

#include "models/weights/load_model.h"
#include "pretrain/registry.h"
#include "recipe.h"
#include "settings.h"

namespace previt {

/// How features are scored by kNN while training goes on (tools: commands/knn_score). The score is
/// of the validation split or, if there is none, of a tenth of each class. Labels are used for
/// nothing else.
struct KnnScoreOptions {
  int64_t epochs = 10;          ///< score every so many epochs and at the end; 0: never
  int64_t k = 20;               ///< neighbours that vote
  double temperature = 0.07;    ///< of their votes
  int64_t train_images = 5000;  ///< compared with at most, taken evenly from all
  int64_t test_images = 1000;   ///< classified at most
};
void visit(FieldVisitor& v, KnnScoreOptions& o);

/// The value of `objective:` in a recipe, or `otherwise` if it has none. Throws UsageError if the
/// value is none of `known`.
std::string objective_in(Recipe& recipe, const std::string& otherwise, const Choices& known = {});

/// A pretraining run as a recipe describes it: the sections that all methods share, and the
/// method's own.
struct PretrainRun {
  RunOptions options;
  KnnScoreOptions knn;
  std::unique_ptr<ObjectiveRecipe> objective;
  KeyPlaces places = {};  ///< of the recipe's keys, for errors that are found only later
  std::shared_ptr<const LoadedModel> source = {};  ///< what it starts from (start_from.h); or null

  /// Takes the official defaults of the method under `objective:`, with the architecture of the
  /// `source` of its weights if there is one (source_architecture.h), then the recipe's keys.
  /// Throws UsageError led by the key's place for an unknown key, a wrong type or value, and
  /// options that do not fit the source.
  static PretrainRun read(Recipe& recipe, const LoadedModel* source = nullptr);

  /// Builds the method. Throws UsageError led by the key's place for keys that don't go together.
  std::shared_ptr<Objective> build(const TensorFileOpener& open = {}) const {
    return places.around([&] { return objective->build(options, open); });
  }

  /// Every option with its value, as YAML that reads back to the same run.
  std::string resolved() const;
  Settings settings() const;  ///< the same as a list
};

}  // namespace previt
