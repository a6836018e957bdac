#include "commands/first_steps.h"

#include <algorithm>

#include "error.h"
#include "log.h"
#include "memory.h"
#include "pretrain/train/micro_batch_choice.h"
#include "pretrain/train/time_budget.h"
#include "progress.h"

namespace previt::cli {
namespace {

constexpr int64_t kProbedImages = 16;  // of which the memory of all is estimated
constexpr double kUsable = 0.8;        // of the memory: files are read meanwhile, and steps differ
constexpr double kForTraining = 0.95;  // of a time budget; the rest is for checkpoints and pictures
constexpr double kMeasured = 0.02;     // of a time budget
constexpr double kMeasuredSeconds = 3;  // without one

double gigabytes(double bytes) { return bytes / 1e9; }

// A micro-batch that main memory should hold.
int64_t estimated_micro_batch(const RunOptions& run, const MakeTrial& make) {
  const auto usable = kUsable * static_cast<double>(obtainable_memory());
  RunOptions few = run;
  few.train.batch = std::min(run.train.batch, kProbedImages);
  few.train.micro_batch = 0;
  if (few.train.batch == run.train.batch || usable == 0) return run.train.batch;
  const auto trial = make(few);
  trial->make_short_steps();
  const Trial::Need need = trial->main_memory();
  const int64_t micro = micro_batch_within(run.train, need.fixed, need.per_image, usable);
  if (micro < run.train.batch) {
    info("train.micro_batch: all {} images of a batch would take {:.1f} GB, and {:.1f} can be had",
         run.train.batch,
         gigabytes(need.fixed + need.per_image * static_cast<double>(run.train.batch)),
         gigabytes(usable));
  }
  return micro;
}

std::unique_ptr<Trial> fitting_trial(RunOptions& run, bool in_main_memory, const MakeTrial& make) {
  TrainOptions& train = run.train;
  train.micro_batch = train.batch;
  if (in_main_memory) train.micro_batch = estimated_micro_batch(run, make);
  std::unique_ptr<Trial> trial;
  halve_until_it_fits(train, [&] {
    trial.reset();  // before another takes memory
    trial = make(run);
    trial->make_short_steps();
  });
  info("train.micro_batch: {}{}",
       train.micro_batch,
       train.micro_batch == train.batch ? ", the whole batch, as it fits in memory"
                                        : fmt::format(" of {}, which fits in memory", train.batch));
  return trial;
}

void fit_epochs(PretrainRun& run, const RunTime& time, double budget, double spent) {
  int64_t& epochs = run.options.train.epochs;
  const double left = kForTraining * budget - spent;
  const int64_t fitting = time.epochs_within(left);
  if (fitting < 1) {
    fail_usage("--time-budget: {}: one epoch of {} images takes {} here, at {:.1f} images/s",
               duration_text(budget),
               time.images_in_epoch,
               duration_text(time.seconds(1)),
               time.images_per_second);
  }
  EpochScale scale(epochs, fitting);
  visit(scale, run.options);
  run.objective->visit_options(scale);
  info(
      "train.epochs: {} instead of {}, and warm-ups in proportion, as --time-budget leaves {} at "
      "{:.1f} images/s",
      fitting,
      epochs,
      duration_text(left),
      time.images_per_second);
  epochs = fitting;
}

}  // namespace

void decide_by_first_steps(PretrainRun& run, const FirstSteps& asked, const MakeTrial& make) {
  const double start = asked.now();
  const bool timed = asked.time_budget > 0 || asked.tell_time;
  std::unique_ptr<Trial> trial;
  if (run.options.train.micro_batch == kAutomatic) {
    trial = fitting_trial(run.options, asked.in_main_memory, make);
  } else if (timed) {
    trial = make(run.options);
    trial->make_short_steps();
  }
  if (!timed) return;
  const double seconds = asked.time_budget > 0
                             ? std::clamp(kMeasured * asked.time_budget, 1.0, 30.0)
                             : kMeasuredSeconds;
  const RunTime time{.images_per_second = trial->images_per_second(seconds, asked.now),
                     .images_in_epoch = trial->images_in_epoch(),
                     .images_scored = asked.images_scored,
                     .score_epochs = asked.images_scored > 0 ? run.knn.epochs : 0};
  if (asked.time_budget > 0) {
    fit_epochs(run, time, asked.time_budget, asked.now() - start);
    return;
  }
  const int64_t epochs = run.options.train.epochs;
  info(
      "{} epoch{} of {} images: about {} at {:.1f} images/s; --time-budget 2h fits the epochs to a "
      "time",
      epochs,
      epochs == 1 ? "" : "s",
      time.images_in_epoch,
      duration_text(time.seconds(epochs)),
      time.images_per_second);
}

}  // namespace previt::cli
