#pragma once

#include <functional>
#include <memory>

#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/train/averages.h"
#include "pretrain/train/ema.h"
#include "pretrain/train/freezing.h"
#include "pretrain/train/optimizer.h"
#include "pretrain/train/schedule.h"
#include "random.h"

namespace previt {

/// What one optimizer step did.
struct StepOutcome {
  double loss = 0;
  double gradient_norm = 0;  ///< before clipping
  double lr = 0;
  int64_t images = 0;
  bool skipped = false;  ///< loss or gradients were not finite, and nothing was changed
  Averages averages;     ///< the objective's metrics, weighted by images
};

/// Makes optimizer steps of an objective: micro-batches, precision, clipping, guard, average. It
/// knows nothing of files, epochs or data beyond the next micro-batch.
class Stepper {
 public:
  Stepper(Objective& objective, const RunOptions& options);

  /// One step over `images` images, taken in micro-batches from `next` until they are reached. The
  /// gradient is that of the mean loss over all of them, however they are cut. Every micro-step
  /// seeds torch's generators from the seed and its place in the run, so no generator state needs
  /// saving.
  StepOutcome step(StepInfo info, int64_t images, const std::function<Batch()>& next) {
    return step(info, images, next, /*update=*/true);
  }
  /// The same without the update, which shows what the weights make of these images.
  StepOutcome try_step(StepInfo info, int64_t images, const std::function<Batch()>& next) {
    return step(info, images, next, /*update=*/false);
  }

  Optimizer& optimizer() { return *optimizer_; }
  Ema* ema() { return ema_.get(); }  ///< null when off
  at::Device device() const { return device_; }

  /// Views and labels of a batch as Objective::step gets them.
  Batch on_device(Batch batch) const;

 private:
  StepOutcome step(StepInfo info, int64_t images, const std::function<Batch()>& next, bool update);
  at::Tensor accumulate(StepInfo& info,
                        int64_t images,
                        const std::function<Batch()>& next,
                        StepOutcome& outcome);
  // Multiplies all gradients by `factor`, and returns the loss times it.
  at::Tensor rescaled(const at::Tensor& loss, double factor) const;
  void clip_and_update(const StepInfo& info, class Gradients& gradients, StepOutcome& outcome);

  Objective& objective_;
  RunOptions options_;
  at::Device device_;
  at::ScalarType compute_type_;
  Freezing freezing_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Ema> ema_;
  Schedule lr_, weight_decay_;
};

/// Seeds torch's generators for a stream of a run.
void seed_torch(int64_t seed, Stream stream, std::initializer_list<uint64_t> indices);

}  // namespace previt
