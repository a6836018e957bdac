#include "pretrain/train/run_checks.h"

#include <filesystem>

#include "communicator.h"
#include "error.h"
#include "files.h"
#include "log.h"
#include "pretrain/schedule.h"

namespace previt {

void require_possible(const Objective& objective, const RunOptions& options, const RunPlan& plan) {
  // Only for its UsageError; warn_of_odd_plan() tells the rest.
  lr_warning(options, plan.info(0));
  const BatchNeed need = objective.batch_need();
  if (plan.smallest_batch() >= need.images) return;
  fail_usage(
      "{}: needs {} images at a time, but the smallest batch of an epoch has {} ({} images in "
      "batches of {}); set train.drop_last: true or another train.batch",
      need.key,
      need.images,
      plan.smallest_batch(),
      plan.epoch.samples,
      plan.epoch.batch);
}

void warn_of_odd_plan(const Objective& objective, const RunOptions& options, const RunPlan& plan) {
  for (const std::string& odd :
       {lr_warning(options, plan.info(0)), objective.odd_plan(plan.epochs)}) {
    if (!odd.empty()) log_warning(odd);
  }
  const TrainOptions& train = options.train;
  const int64_t share = train.batch / world().size();
  if (train.micro_batch > plan.epoch.batch && share > plan.epoch.batch) {
    warn("train.micro_batch: {} does not divide train.batch {}; {} is used",
         train.micro_batch,
         train.batch,
         plan.epoch.batch);
  }
}

void require_same_images(const TrainOptions& options,
                         const RunPlan& plan,
                         int64_t before,
                         bool held_out) {
  if (before == plan.epoch.samples) return;
  if (held_out || epoch_of(options, before).steps() != plan.steps_per_epoch()) {
    fail_usage(
        "--resume: the data has {} images and had {} in the run; give the same ones, or start "
        "another run with --out",
        plan.epoch.samples,
        before);
  }
  warn("the data has {} images and had {} until the checkpoint; going on with those that are there",
       plan.epoch.samples,
       before);
}

void require_same_held_out(const std::string& run_folder, const std::string& now) {
  const std::string file = run_folder + "/held_out.json";
  if (now.empty() || !std::filesystem::exists(file) || read_whole_file(file) == now) return;
  fail_usage(
      "--resume: the images held out are others than in {}, as the data has changed; give the "
      "run's data, or start another run with --out",
      file);
}

}  // namespace previt
