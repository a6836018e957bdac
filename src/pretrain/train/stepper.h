#pragma once

#include <functional>
#include <memory>

#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/train/averages.h"
#include "pretrain/train/ema.h"
#include "pretrain/train/freezing.h"
#include "pretrain/train/gradient_sum.h"
#include "pretrain/train/optimizer.h"
#include "pretrain/train/schedule.h"
#include "random.h"

namespace previt {

/// What every rank says after its part of a step, and then what all of them have said.
struct RankNews {
  int stop = 0;             ///< exit code that a signal asks for (StopSignal); of all: the largest
  double wait = 0;          ///< seconds spent waiting for data; of all: those of the slowest
  int64_t bad_samples = 0;  ///< BatchSource::bad_samples; of all: their sum
};

/// What one optimizer step did, the same on all ranks but for `averages`.
struct StepOutcome {
  double loss = 0;
  double gradient_norm = 0;  ///< before clipping
  double lr = 0;
  int64_t images = 0;
  bool skipped = false;  ///< loss or gradients were not finite, and nothing was changed
  Averages averages;     ///< the objective's metrics, weighted by images; of this rank's images
  RankNews news;         ///< of all ranks
};

/// Makes optimizer steps of an objective: micro-batches, precision, clipping, guard, average. It
/// knows nothing of files, epochs or data beyond the next micro-batch. Where the run has several
/// processes, each makes every so many-th micro-step, and all the same update.
class Stepper {
 public:
  Stepper(Objective& objective, const RunOptions& options);

  /// One step over `images` images of all ranks, of which this one takes its share from `next`, in
  /// micro-batches. The gradient is that of the mean loss over all of them, however they are cut.
  /// Every micro-step seeds torch's generators from the seed and its place in the run, so no
  /// generator state needs saving. `news` is asked once, after the last micro-batch.
  StepOutcome step(
      StepInfo info,
      int64_t images,
      const std::function<Batch()>& next,
      const std::function<RankNews()>& news = [] { return RankNews(); }) {
    return step(info, images, next, news, /*update=*/true);
  }
  /// The same without the update, which shows what the weights make of these images.
  StepOutcome try_step(StepInfo info, int64_t images, const std::function<Batch()>& next) {
    return step(info, images, next, [] { return RankNews(); }, /*update=*/false);
  }

  Optimizer& optimizer() { return *optimizer_; }
  Ema* ema() { return ema_.get(); }  ///< null when off
  at::Device device() const { return device_; }
  /// What the ranks have sent each other.
  Traffic traffic() const { return gradient_sum_ ? gradient_sum_->traffic() : Traffic(); }

  /// Views and labels of a batch as Objective::step gets them.
  Batch on_device(Batch batch) const;

 private:
  struct Weights;
  StepOutcome step(StepInfo info,
                   int64_t images,
                   const std::function<Batch()>& next,
                   const std::function<RankNews()>& news,
                   bool update);
  at::Tensor accumulate(StepInfo& info,
                        int64_t images,
                        const std::function<Batch()>& next,
                        Weights& weights,
                        StepOutcome& outcome);
  double expected_weight(const StepResult& first, int64_t count, int64_t images) const;
  // Adds up gradients, loss, weights and news over all ranks.
  void sum_over_ranks(at::Tensor& loss, Weights& weights, RankNews& news);
  // Multiplies all gradients by `factor`, and returns the loss times it.
  at::Tensor rescaled(const at::Tensor& loss, double factor) const;
  void clip_and_update(const StepInfo& info, class Gradients& gradients, StepOutcome& outcome);

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
  Schedule lr_, weight_decay_;
};

/// Seeds torch's generators for a stream of a run.
void seed_torch(int64_t seed, Stream stream, std::initializer_list<uint64_t> indices);

}  // namespace previt
