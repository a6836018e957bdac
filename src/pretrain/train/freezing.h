#pragma once

#include <torch/types.h>

#include <vector>

#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

/// Throws UsageError if the run freezes weights and none are `loaded`, as random ones would teach
/// the rest nothing, or if it freezes more blocks than the model has. options.model is resolved.
void require_freezable(const RunOptions& options, bool loaded);

/// Parts of the backbones that keep their weights: model.freeze_blocks for the whole run, all of
/// them for train.freeze_epochs. A classifier's heads and fc_norm are no part of them. A frozen
/// parameter has no gradient, so it isn't decayed either, and the optimizer keeps no state for it
/// before it is trained.
class Freezing {
 public:
  /// Freezes the first blocks, and what stands before them: patch embedding, tokens, positions.
  /// To be made before the optimizer, which then doesn't know them.
  Freezing(Objective& objective, const RunOptions& options);

  /// Freezes or releases the rest, as the step's epoch wants it.
  void begin_step(const StepInfo& info);

 private:
  std::vector<at::Tensor> for_epochs_;
  int64_t epochs_;
};

}  // namespace previt
