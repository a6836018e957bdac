#pragma once

#include <torch/types.h>

#include <vector>

#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

/// Parts of the backbones that keep their weights: model.freeze_blocks for the whole run, all of
/// them for train.freeze_epochs. A frozen parameter has no gradient, so it isn't decayed either,
/// and the optimizer keeps no state for it before it is trained.
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
