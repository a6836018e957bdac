#pragma once

#include <functional>
#include <memory>

#include "batch.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/train/run_plan.h"
#include "pretrain/train/stepper.h"
#include "uploaded_batches.h"

namespace previt {

/// Steps of a run that are made before it begins, to see whether they fit in memory and how long
/// they take. It owns all that they change, so that nothing of them is left.
class Trial {
 public:
  /// As train() gets them, the objective on its device. Throws UsageError as train() does for what
  /// can't be trained. `graphs`: as Stepper takes them.
  Trial(std::shared_ptr<Objective> objective,
        std::unique_ptr<BatchSource> source,
        const RunOptions& options,
        const DeviceGraphMaker& graphs = make_device_graph);

  /// Two steps of two micro-batches at the most. They take all the memory that whole steps take:
  /// for the optimizer's state, and for gradients that are added to.
  void make_short_steps();

  /// Main memory of a step: what weights and optimizer hold, and what comes on top of it for each
  /// image of a micro-batch. Makes a short step; comes after make_short_steps(). Where nothing
  /// counts memory (tune_allocator() was not called), both are 0.
  struct Need {
    double fixed = 0, per_image = 0;  ///< bytes
  };
  Need main_memory();

  /// Images that whole steps take in a second, loading included, in the middle of the run. Makes
  /// steps until `seconds` have passed, one at the least, once it is decided whether they are
  /// replayed. now: a clock in seconds.
  double images_per_second(double seconds, const std::function<double()>& now);

  /// Images that the steps of an epoch see.
  int64_t images_in_epoch() const { return plan_.epoch.images(); }

  static double seconds_now();

 private:
  int64_t step(int64_t images);

  const std::shared_ptr<Objective> objective_;
  const std::unique_ptr<BatchSource> source_;
  const RunPlan plan_;
  const StepInfo info_;
  Stepper stepper_;
  UploadedBatches batches_;  // as a run has them
};

}  // namespace previt
