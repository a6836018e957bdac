#pragma once

#include <optional>
#include <vector>

#include "batch.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/train/averages.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/train_callbacks.h"

namespace previt {

/// What looks at the model between steps: the caller's evaluation and the objective's pictures.
/// Both run in eval mode, without gradients, and with averaged weights if there are any.
class BetweenSteps {
 public:
  BetweenSteps(Objective& objective,
               Stepper& stepper,
               const RunOptions& options,
               const TrainCallbacks& callbacks);

  /// Takes the images for the pictures; moves the source.
  void take_preview_images(BatchSource& source);

  /// Whether the caller has an evaluation, on all ranks.
  bool evaluates() const { return evaluates_; }
  /// What that gives after so many epochs, on rank 0; empty if there is none.
  Scalars evaluate(int64_t epochs_done);
  /// Pictures, always of the same images with the same random masks; none if nobody encodes them.
  std::vector<Picture> previews();

 private:
  class Looking;
  static Scalars of_first_rank(const Scalars& own);

  Objective& objective_;
  Stepper& stepper_;
  const RunOptions& options_;
  const TrainCallbacks& callbacks_;
  const bool evaluates_;
  std::optional<Batch> preview_batch_;
};

}  // namespace previt
