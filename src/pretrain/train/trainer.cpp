#include "pretrain/train/trainer.h"

#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>

#include "error.h"
#include "log.h"
#include "memory.h"
#include "models/weights/load_model.h"
#include "pretrain/train/resume_check.h"
#include "pretrain/train/run_checks.h"
#include "pretrain/train/run_outputs.h"
#include "pretrain/train/run_plan.h"
#include "pretrain/train/run_position.h"
#include "pretrain/train/run_state.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/stop_signal.h"
#include "progress.h"

namespace previt {
namespace {

using Clock = std::chrono::steady_clock;

Settings with(Settings settings, const Settings& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

class Run {
 public:
  Run(Objective& objective,
      BatchSource& source,
      const RunOptions& options,
      const std::string& folder,
      const RunHooks& hooks)
      : objective_(objective),
        source_(source),
        options_(options),
        folder_(folder),
        hooks_(hooks),
        settings_(with(hooks.settings, objective.frozen_parts())),
        plan_(RunPlan::make(options.train, source)),
        stepper_(objective, options) {
    require_possible(objective_, options_, plan_);
  }

  void resume();
  int run();

 private:
  // one step
  void make_step();
  void take(const StepOutcome& outcome);
  void show_progress();

  // what is due after it
  void after_step();
  void write_line();
  void diagnose(const Scalars& values);
  Scalars evaluate();
  void keep_if_best(const Scalars& evaluated);
  void make_previews();
  void save();
  void prune();
  int finish(int exit_code);

  // when nothing is learned
  void require_finite(const Checkpoint& weights);
  void require_learned();
  [[noreturn]] void give_up(const std::string& problem);

  Checkpoint checkpoint();
  RunSummary summary() const;
  double epochs_done() const { return plan_.info(at_.steps_done).epoch(); }
  bool done() const { return at_.steps_done >= plan_.total_steps(); }

  Objective& objective_;
  BatchSource& source_;
  const RunOptions& options_;
  const std::string folder_;
  const RunHooks& hooks_;
  const Settings settings_;  // compared on resume
  RunPlan plan_;
  Stepper stepper_;
  std::optional<RunOutputs> outputs_;
  std::optional<Batch> preview_batch_;
  StopSignal stop_;
  Progress progress_;

  RunPosition at_;
  bool failed_ = false;
  bool untried_ = false;  // no step was good since the newest checkpoint
  int64_t saved_step_ = -1;
  double last_lr_ = 0;
  double shown_loss_ = 0;
  std::string diagnosis_;  // of the last line
  Speed session_;
};

// --- start ---------------------------------------------------------------------------------------

void Run::resume() {
  if (list_checkpoints(folder_).empty()) {
    info("{}: no checkpoint to go on from; starting anew", folder_);
    return;
  }
  std::vector<std::string> warnings;
  const Checkpoint saved = load_latest(folder_, warnings);
  for (const auto& warning : warnings) log_warning(warning);
  const auto& meta = saved.meta;
  require_resumable(meta.at("settings"), settings_);
  require_same_classes(saved.backbone_metadata, hooks_.class_names);
  require_same_images(options_.train, plan_, meta.at("samples"), hooks_.held_out);
  require_same_held_out(folder_, hooks_.kept_apart);
  restore(saved, objective_, stepper_);
  at_.load(meta);
  saved_step_ = at_.steps_done;
  info("{}: going on after step {} of {}", folder_, at_.steps_done, plan_.total_steps());
}

int Run::run() {
  outputs_.emplace(folder_, hooks_, at_.steps_done);
  warn_of_odd_plan(options_, plan_);
  if (hooks_.encode_png && options_.output.preview_images > 0) {
    source_.seek(0, 0);
    preview_batch_ =
        first_images(stepper_.on_device(source_.next()), options_.output.preview_images);
  }
  plan_.seek(source_, at_.steps_done);
  objective_.train();
  if (done()) evaluate();  // a finished run that is resumed: its caller still wants the result
  while (!done()) {
    make_step();
    show_progress();
    after_step();
    if (stop_.exit_code() != 0 && !done()) return finish(stop_.exit_code());
  }
  return finish(0);
}

// --- one step ------------------------------------------------------------------------------------

void Run::make_step() {
  Speed speed;
  const auto start = Clock::now();
  const auto next = [&] {
    const auto asked = Clock::now();
    Batch batch = source_.next();
    speed.wait += seconds_since(asked);
    return batch;
  };
  const StepOutcome outcome =
      stepper_.step(plan_.info(at_.steps_done), plan_.images_in(at_.steps_done), next);
  ++at_.steps_done;
  speed.images = outcome.images;
  speed.seconds = seconds_since(start);
  at_.interval.add(speed);
  session_.add(speed);
  at_.seconds += speed.seconds;
  take(outcome);
}

void Run::take(const StepOutcome& outcome) {
  last_lr_ = outcome.lr;
  if (!outcome.skipped) {
    at_.skipped_in_a_row = 0;
    if (std::exchange(untried_, false)) prune();
    const auto weight = static_cast<double>(outcome.images);
    at_.averages.merge(outcome.averages);
    at_.averages.add("loss", outcome.loss, weight);
    at_.averages.add("grad_norm", outcome.gradient_norm, weight);
    shown_loss_ = shown_loss_ == 0 ? outcome.loss : 0.9 * shown_loss_ + 0.1 * outcome.loss;
    return;
  }
  ++at_.skipped_steps;
  ++at_.skipped_in_a_row;
  warn("step {}: loss {}, gradient norm {}: left out",
       at_.steps_done,
       outcome.loss,
       outcome.gradient_norm);
  require_finite(collect(objective_, stepper_));
  if (at_.skipped_in_a_row < options_.train.max_bad_steps) return;
  give_up(fmt::format("step {}: loss or gradients were not finite {} times in a row",
                      at_.steps_done,
                      at_.skipped_in_a_row));
}

void Run::show_progress() {
  progress_.update({.step = at_.steps_done,
                    .total_steps = plan_.total_steps(),
                    .epoch = epochs_done(),
                    .epochs = plan_.epochs,
                    .loss = shown_loss_,
                    .images_per_second = session_.images_per_second(),
                    .data_wait = session_.wait_share()});
}

// --- what is due after a step --------------------------------------------------------------------

void Run::after_step() {
  const int64_t in_epoch = at_.steps_done % plan_.steps_per_epoch();
  if (in_epoch % options_.output.log_steps == 0) write_line();
  if (done() || plan_.due(options_.output.preview_epochs, at_.steps_done)) make_previews();
  if (!done() && plan_.due(options_.output.checkpoint_epochs, at_.steps_done)) save();
}

void Run::write_line() {
  MetricsLine line{at_.steps_done, {{"epoch", epochs_done()}}};
  const auto add = [&](const Scalars& values) {
    line.values.insert(line.values.end(), values.begin(), values.end());
  };
  add(at_.interval_values(last_lr_, source_.bad_samples()));
  diagnose(line.values);
  const Scalars evaluated = evaluate();
  add(evaluated);
  outputs_->write(line);
  at_.start_interval();
  keep_if_best(evaluated);
}

void Run::diagnose(const Scalars& values) {
  const std::string found =
      objective_.diagnose({values.begin(), values.end()}, plan_.info(at_.steps_done));
  if (found != diagnosis_ && !found.empty()) warn("step {}: {}", at_.steps_done, found);
  if (found.empty() && !diagnosis_.empty()) info("step {}: recovered", at_.steps_done);
  diagnosis_ = found;
}

Scalars Run::evaluate() {
  const bool due = plan_.due(static_cast<double>(hooks_.evaluate_epochs), at_.steps_done) || done();
  if (!hooks_.evaluate || !plan_.ends_epoch(at_.steps_done) || !due) return {};
  require_finite(collect(objective_, stepper_));  // others would get a score, like any
  const torch::NoGradGuard no_grad;
  const EmaScope averaged(stepper_.ema());
  objective_.eval();
  const auto results = hooks_.evaluate(at_.steps_done / plan_.steps_per_epoch());
  objective_.train();
  return {results.begin(), results.end()};
}

void Run::keep_if_best(const Scalars& evaluated) {
  const bool finite = std::all_of(evaluated.begin(), evaluated.end(), [](const auto& value) {
    return std::isfinite(value.second);
  });
  if (!finite) return;
  for (const auto& [name, value] : evaluated) {
    if (name != hooks_.best_metric || !(value > at_.best)) continue;
    at_.best = value;
    const std::string folder = folder_ + "/best";
    Checkpoint best = checkpoint();
    best.meta[kSkippedInARow] = 0;  // its score is beyond doubt
    save_checkpoint(folder, at_.steps_done, best);
    prune_checkpoints(folder, 1, 0);
  }
}

void Run::make_previews() {
  if (!preview_batch_) return;
  const torch::NoGradGuard no_grad;
  const EmaScope averaged(stepper_.ema());
  seed_torch(options_.train.seed, Stream::previews, {});  // the same random masks each time
  objective_.eval();
  const auto pictures = objective_.previews(*preview_batch_, options_.normalize);
  objective_.train();
  outputs_->add_previews(pictures, epochs_done());
}

// --- checkpoints and the end ---------------------------------------------------------------------

Checkpoint Run::checkpoint() {
  Checkpoint saved = collect(objective_, stepper_);
  saved.backbone_metadata = model_metadata(
      objective_.kept_model().description, options_.normalize, hooks_.class_names, hooks_.crop_pct);
  saved.meta = at_.save();
  saved.meta["samples"] = plan_.epoch.samples;
  saved.meta["epoch"] = epochs_done();
  saved.meta["settings"] = settings_json(settings_);
  return saved;
}

void Run::save() {
  if (saved_step_ != at_.steps_done) {
    const Checkpoint now = checkpoint();
    require_finite(now);
    save_checkpoint(folder_, at_.steps_done, now);
    untried_ = !done();
    prune();
    saved_step_ = at_.steps_done;
  }
  outputs_->write_report(summary());
}

// The update just saved may have ruined the weights, which only a further step shows: until one was
// good, the checkpoint before stays too.
void Run::prune() {
  prune_checkpoints(folder_,
                    options_.output.keep_last + (untried_ ? 1 : 0),
                    options_.output.keep_every * plan_.steps_per_epoch());
}

RunSummary Run::summary() const {
  const std::string title = fmt::format("{}, {}", options_.objective, options_.model.arch);
  return {.title = hooks_.title.empty() ? title : hooks_.title,
          .diagnosis = diagnosis_,
          .finished = done() && !failed_,
          .epochs_done = epochs_done(),
          .epochs = plan_.epochs,
          .seconds = at_.seconds,
          .images_per_second = session_.images_per_second(),
          .flops_per_second = objective_.flops_per_image() * session_.images_per_second(),
          .peak_memory = peak_memory(),
          .skipped_steps = at_.skipped_steps,
          .bad_samples = source_.bad_samples()};
}

int Run::finish(int exit_code) {
  if (exit_code == 0) require_learned();
  save();
  const RunSummary result = summary();
  set_live_line("");
  info("{} after step {} of {}: {}, data wait {:.0f}%",
       exit_code == 0 ? "done" : "stopped and saved",
       at_.steps_done,
       plan_.total_steps(),
       speed_text(result),
       100 * session_.wait_share());
  return exit_code;
}

// --- when nothing is learned ---------------------------------------------------------------------

void Run::require_finite(const Checkpoint& weights) {
  const std::string broken = not_finite(weights);
  if (broken.empty()) return;
  give_up(fmt::format("step {}: the weights are not finite ({})", at_.steps_done, broken));
}

// A run that ends in steps left out may have met a few bad batches, or be lost: another batch
// tells.
void Run::require_learned() {
  if (at_.skipped_in_a_row == 0) return;
  if (at_.skipped_steps == at_.steps_done) {
    give_up(fmt::format("nothing was learned: loss or gradients were not finite in all {} steps",
                        at_.steps_done));
  }
  plan_.seek(source_, at_.steps_done);
  const StepOutcome once_more = stepper_.try_step(
      plan_.info(at_.steps_done), plan_.images_in(at_.steps_done), [&] { return source_.next(); });
  if (once_more.skipped) {
    give_up(
        fmt::format("nothing more was learned: loss or gradients were not finite in the last {} "
                    "of {} steps",
                    at_.skipped_in_a_row,
                    at_.steps_done));
  }
  at_.skipped_in_a_row = 0;
}

void Run::give_up(const std::string& problem) {
  failed_ = true;
  diagnosis_ = problem;
  set_live_line("");
  outputs_->write_report(summary());
  const std::string good = newest_undoubted(folder_);
  const std::string where =
      good.empty() ? "there is no checkpoint from before: start again"
                   : fmt::format("the last good checkpoint is {}: go on from it, --resume,", good);
  // Its weights may be as bad as those now: nothing was learned since.
  const bool none_since =
      good.ends_with(fmt::format("step_{:08}", at_.steps_done - at_.skipped_in_a_row));
  fail("{}; {} with a lower optimizer.base_lr{}{}",
       problem,
       where,
       options_.train.precision == "bf16" ? " or train.precision=fp32" : "",
       none_since ? "; if that fails too, remove it and go on from the one before" : "");
}

// A start that failed at once leaves an empty metrics.jsonl, which is no run.
bool holds_run(const std::string& folder) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(folder + "/metrics.jsonl", missing);
  return (!missing && size > 0) || !list_checkpoints(folder).empty();
}

}  // namespace

int train(Objective& objective,
          BatchSource& source,
          const RunOptions& options,
          const std::string& run_folder,
          bool resume,
          const RunHooks& hooks) {
  if (!resume && holds_run(run_folder)) {
    fail_usage("{}: holds a run already; add --resume to go on with it, or give another --out",
               run_folder);
  }
  Run run(objective, source, options, run_folder, hooks);
  if (resume) run.resume();
  return run.run();
}

}  // namespace previt
