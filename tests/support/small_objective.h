#pragma once

#include <string>
#include <vector>

#include "pretrain/pretrain_run.h"
#include "support/reduced_recipe.h"

namespace previt::test {

/// The names of all registered objectives.
inline std::vector<std::string> objectives() {
  ObjectiveRegistry registry;
  register_all_objectives(registry);
  return registry.names();
}

/// A run of its reduced recipe: two epochs in fp32, four images a step.
inline PretrainRun small_run(const std::string& name, const std::vector<std::string>& more = {}) {
  auto recipe = reduced_recipe(name);
  for (const char* assignment :
       {"train.epochs=2", "train.batch=4", "train.precision=fp32", "schedule.warmup_epochs=1"}) {
    recipe.set(assignment);
  }
  for (const auto& assignment : more) recipe.set(assignment);
  return PretrainRun::read(recipe);
}

/// Random pixels on the host, as a source would give them.
inline Batch random_batch(const Objective& objective, const RunOptions& options) {
  torch::manual_seed(11);
  Batch batch;
  for (const auto& view : objective.views()) {
    for (int64_t i = 0; i < view.count; ++i) {
      batch.views.push_back(
          torch::rand({options.train.batch, options.model.in_channels, view.height, view.width}));
    }
  }
  batch.labels = torch::full({options.train.batch}, -1, torch::kInt64);
  batch.indices = torch::arange(options.train.batch);
  return batch;
}

}  // namespace previt::test
