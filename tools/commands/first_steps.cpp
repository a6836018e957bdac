#include "commands/first_steps.h"

#include <torch/types.h>

#include <algorithm>

#include "communicator.h"
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
int64_t estimated_micro_batch(const RunOptions& run, int64_t sharers, const MakeTrial& make) {
  const double usable =
      kUsable * static_cast<double>(obtainable_memory()) / static_cast<double>(sharers);
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

std::unique_ptr<Trial> fitting_trial(RunOptions& run,
                                     const FirstSteps& asked,
                                     const MakeTrial& make) {
  TrainOptions& train = run.train;
  train.micro_batch = train.batch;
  if (asked.in_main_memory) train.micro_batch = estimated_micro_batch(run, asked.sharers, make);
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

// What first steps show.
struct Found {
  int64_t micro_batch = 0;
  double images_per_second = 0;
  int64_t images_in_epoch = 0;
  double spent = 0;  // seconds
};

bool is_timed(const FirstSteps& asked) { return asked.time_budget > 0 || asked.tell_time; }

Found make_first_steps(RunOptions run, const FirstSteps& asked, const MakeTrial& make) {
  const double start = asked.now();
  std::unique_ptr<Trial> trial;
  if (run.train.micro_batch == kAutomatic) {
    trial = fitting_trial(run, asked, make);
  } else if (is_timed(asked)) {
    trial = make(run);
    trial->make_short_steps();
  }
  Found found{.micro_batch = run.train.micro_batch};
  if (!is_timed(asked)) return found;
  const double seconds = asked.time_budget > 0
                             ? std::clamp(kMeasured * asked.time_budget, 1.0, 30.0)
                             : kMeasuredSeconds;
  found.images_per_second = trial->images_per_second(seconds, asked.now);
  found.images_in_epoch = trial->images_in_epoch();
  found.spent = asked.now() - start;
  return found;
}

// What all ranks go by, after each has tried its share of a batch.
Found agreed(Found own, int64_t batch) {
  Communicator& all = world();
  const at::Tensor least = torch::full({1}, -own.micro_batch, torch::kInt64);
  all.max(least);
  const at::Tensor first = torch::tensor({own.images_per_second, own.spent}, torch::kFloat64);
  all.broadcast(first);
  return {.micro_batch = -least.item<int64_t>(),
          .images_per_second = static_cast<double>(all.size()) * first[0].item<double>(),
          .images_in_epoch = own.images_in_epoch / batch * batch,
          .spent = first[1].item<double>()};
}

Found try_share(RunOptions run, const FirstSteps& asked, const MakeTrial& make) {
  const int64_t batch = run.train.batch;
  run.train.batch /= world().size();
  run.train.cuda_graph = GraphChoice::off;  // several processes launch their steps
  const auto own = [&] {
    const Busy busy;  // one that has less memory tries for longer
    const OnItsOwn alone;
    return make_first_steps(run, asked, make);
  };
  return agreed(own(), batch);
}

}  // namespace

void decide_by_first_steps(PretrainRun& run, const FirstSteps& asked, const MakeTrial& make) {
  const Found found = world().alone() ? make_first_steps(run.options, asked, make)
                                      : try_share(run.options, asked, make);
  run.options.train.micro_batch = found.micro_batch;
  if (!is_timed(asked)) return;
  const RunTime time{.images_per_second = found.images_per_second,
                     .images_in_epoch = found.images_in_epoch,
                     .images_scored = asked.images_scored,
                     .score_epochs = asked.images_scored > 0 ? run.knn.epochs : 0};
  if (asked.time_budget > 0) {
    fit_epochs(run, time, asked.time_budget, found.spent);
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
