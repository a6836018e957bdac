#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "device_graph.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/schedule.h"
#include "pretrain/train/ema.h"
#include "pretrain/train/freezing.h"
#include "pretrain/train/gradient_sum.h"
#include "pretrain/train/graphed_steps.h"
#include "pretrain/train/optimizer.h"
#include "pretrain/train/step_end.h"
#include "pretrain/train/step_outcome.h"
#include "random.h"

namespace previt {

/// Makes optimizer steps of an objective: micro-batches, precision, clipping, guard, average. It
/// knows nothing of files, epochs or data beyond the next micro-batch. Where the run has several
/// processes, each makes every so many-th micro-step, and all the same update.
class Stepper {
 public:
  /// Without a `reading`: late on an accelerator, if the optimizer can leave out steps, and else at
  /// once. `graphs`: of the device, for train.cuda_graph.
  Stepper(Objective& objective,
          const RunOptions& options,
          std::optional<Reading> reading = {},
          const DeviceGraphMaker& graphs = make_device_graph);

  /// One step over `images` images of all ranks, of which this one takes its share from `next`, in
  /// micro-batches. The gradient is that of the mean loss over all of them, however they are cut.
  /// Every micro-step seeds torch's generators from the seed and its place in the run, so no
  /// generator state needs saving. `news` is asked once, after the last micro-batch.
  ///
  /// With a late reading nothing in it waits for the device, but for what the objective or other
  /// ranks wait for; ask for the outcome once the next step is queued.
  QueuedStep queue(
      StepInfo info,
      int64_t images,
      const std::function<Batch()>& next,
      const std::function<RankNews()>& news = [] { return RankNews(); });
  /// The same, and waits for the outcome.
  StepOutcome step(
      const StepInfo& info,
      int64_t images,
      const std::function<Batch()>& next,
      const std::function<RankNews()>& news = [] { return RankNews(); }) {
    return queue(info, images, next, news).outcome();
  }
  /// The same without the update, which shows what the weights make of these images.
  StepOutcome try_step(StepInfo info, int64_t images, const std::function<Batch()>& next);

  /// How many steps may be queued whose outcome isn't asked for.
  int64_t steps_ahead() const { return end_->reading() == Reading::late ? 1 : 0; }
  Optimizer& optimizer() { return *optimizer_; }
  Ema* ema() { return ema_.get(); }  ///< null when off
  at::Device device() const { return device_; }
  /// Null where the device replays no steps.
  const GraphedSteps* graphed() const { return graphed_.get(); }
  /// Calls `step`, which makes a whole step, until it is decided whether steps are replayed: what
  /// comes then can be timed. 20 times at the most, as steps of less than a batch decide nothing.
  void settle(const std::function<void()>& step) const;
  /// What the ranks have sent each other.
  Traffic traffic() const { return gradient_sum_ ? gradient_sum_->traffic() : Traffic(); }

  /// Views and labels of a batch as Objective::step gets them.
  Batch on_device(Batch batch) const;

 private:
  struct Weights;
  // The loss of the step, whose gradients are left in the parameters.
  at::Tensor gradients(StepInfo& info,
                       int64_t images,
                       const std::function<Batch()>& next,
                       const std::function<RankNews()>& news,
                       StepOutcome& outcome);
  // A step of one micro-batch, whose passes may be replayed.
  at::Tensor graphed_step(const StepInfo& info,
                          const std::function<Batch()>& next,
                          StepOutcome& outcome);
  at::Tensor accumulate(StepInfo& info,
                        int64_t images,
                        const std::function<Batch()>& next,
                        Weights& weights,
                        StepOutcome& outcome);
  void seed(const StepInfo& info) const;
  double expected_weight(const StepResult& first, int64_t count, int64_t images) const;
  // Adds up gradients, loss, weights and news over all ranks.
  void sum_over_ranks(at::Tensor& loss, Weights& weights, RankNews& news);
  // Multiplies all gradients by `factor`, and returns the loss times it.
  at::Tensor rescaled(const at::Tensor& loss, double factor) const;

  Objective& objective_;
  Communicator& ranks_;
  RunOptions options_;
  at::Device device_;
  at::ScalarType compute_type_;
  Freezing freezing_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<GradientSum> gradient_sum_;  // null in a run of one
  bool weighted_ = true;  // whether losses say their weight, as far as all ranks know
  std::unique_ptr<Ema> ema_;
  std::unique_ptr<GraphedSteps> graphed_;
  Schedule lr_, weight_decay_;
  std::unique_ptr<StepEnd> end_;
};

/// Seeds torch's generators for a stream of a run.
void seed_torch(int64_t seed, Stream stream, std::initializer_list<uint64_t> indices);

}  // namespace previt
