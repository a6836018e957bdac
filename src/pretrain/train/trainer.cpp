#include "pretrain/train/trainer.h"

#include <optional>

#include "communicator.h"
#include "error.h"
#include "log.h"
#include "memory.h"
#include "models/weights/load_model.h"
#include "pretrain/train/between_steps.h"
#include "pretrain/train/checkpoint_keeper.h"
#include "pretrain/train/diagnosis.h"
#include "pretrain/train/due_work.h"
#include "pretrain/train/learning_guard.h"
#include "pretrain/train/resume_check.h"
#include "pretrain/train/run_checks.h"
#include "pretrain/train/run_outputs.h"
#include "pretrain/train/run_plan.h"
#include "pretrain/train/run_position.h"
#include "pretrain/train/run_state.h"
#include "pretrain/train/same_start.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/stop_signal.h"
#include "pretrain/train/timed_steps.h"
#include "progress.h"
#include "uploaded_batches.h"

namespace previt {
namespace {

class Trainer {
 public:
  Trainer(Objective& objective,
          BatchSource& source,
          const RunOptions& options,
          const std::string& folder,
          const RunRecord& record,
          const TrainCallbacks& callbacks)
      : objective_(objective),
        source_(source),
        options_(options),
        folder_(folder),
        record_(record),
        callbacks_(callbacks),
        settings_(combined(record.settings, objective.frozen_parts())),
        plan_(RunPlan::make(options.train, source)),
        due_{plan_, options.output},
        stepper_(objective, options),
        batches_(source, stepper_.device(), [this](const Batch& b) { return objective_.draw(b); }),
        steps_(stepper_, batches_, plan_, stop_),
        between_steps_(objective, stepper_, options, callbacks),
        keeper_(folder, options.output, plan_.steps_per_epoch()),
        guard_(folder, options.train) {
    require_possible(objective_, options_, plan_);
  }

  void resume();
  int run();

 private:
  int make_all_steps();
  int finish(int exit_code);

  // one step
  void make_step();
  void take_in();
  void show_progress();

  // what is due after it
  void after_step();
  void write_line();
  Scalars evaluate();
  void save();

  Checkpoint checkpoint();
  RunSummary summary() const;
  double epochs_done() const { return plan_.info(at_.steps_done).epoch(); }
  bool done() const { return at_.steps_done >= plan_.total_steps(); }

  Objective& objective_;
  BatchSource& source_;
  const RunOptions& options_;
  const std::string folder_;
  const RunRecord& record_;
  const TrainCallbacks& callbacks_;
  const Settings settings_;  // compared on resume
  const RunPlan plan_;
  const DueWork due_;
  const StopSignal stop_;
  Stepper stepper_;
  UploadedBatches batches_;
  TimedSteps steps_;
  BetweenSteps between_steps_;
  CheckpointKeeper keeper_;
  const LearningGuard guard_;
  std::optional<RunOutputs> outputs_;
  Progress progress_;

  RunPosition at_;
  bool lost_ = false;
  double last_lr_ = 0;
  double shown_loss_ = 0;
  Diagnosis diagnosis_;  // of the last line
  Speed session_;
};

// --- from start to end ---------------------------------------------------------------------------

void Trainer::resume() {
  const std::optional<Checkpoint> saved = checkpoint_of_all_ranks(folder_);
  if (!saved) return;
  const auto& meta = saved->meta;
  require_resumable(meta.at("settings"), settings_);
  require_same_classes(saved->backbone_metadata, record_.class_names);
  require_same_images(options_.train, plan_, meta.at("samples"), record_.held_out);
  require_same_held_out(folder_, record_.kept_apart);
  restore_run(*saved, objective_, stepper_, at_);
  at_.best = best_of_all_ranks(folder_);
  keeper_.resumed(at_.steps_done);
  info("{}: going on after step {} of {}", folder_, at_.steps_done, plan_.total_steps());
}

int Trainer::run() {
  outputs_.emplace(folder_, record_, callbacks_, at_.steps_done);
  warn_of_odd_plan(objective_, options_, plan_);
  between_steps_.take_preview_images(source_);
  plan_.seek(batches_, at_.steps_done);
  objective_.train();
  try {
    return finish(make_all_steps());
  } catch (const LostRun& lost) {
    lost_ = true;
    diagnosis_.set(lost.problem());
    set_live_line("");
    outputs_->write_report(summary());
    throw;
  }
}

int Trainer::make_all_steps() {
  if (done()) evaluate();  // a finished run that is resumed: its caller still wants the result
  while (!done()) {
    make_step();
    show_progress();
    if (steps_.unread() == 0) after_step();
    if (steps_.stop_asked() != 0 && !done()) break;
  }
  while (steps_.unread() > 0) take_in();
  return done() ? 0 : steps_.stop_asked();
}

int Trainer::finish(int exit_code) {
  if (exit_code == 0) {
    guard_.require_learned(at_, [&] { return steps_.would_be_good(at_.steps_done); });
    at_.skipped_in_a_row = 0;
  }
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

// --- one step ------------------------------------------------------------------------------------

void Trainer::make_step() {
  steps_.queue(at_.steps_done + steps_.unread());
  const int64_t made = at_.steps_done + steps_.unread();
  // What is due after a step needs the numbers of all before it.
  const int64_t left = due_.any(made) ? 0 : stepper_.steps_ahead();
  while (steps_.unread() > left) take_in();
}

void Trainer::take_in() {
  Speed speed;
  const StepOutcome outcome = steps_.read(speed);
  session_.add(speed);
  at_.add(outcome, speed);
  last_lr_ = outcome.lr;
  if (!outcome.skipped) {
    keeper_.step_was_good();
    shown_loss_ = shown_loss_ == 0 ? outcome.loss : 0.9 * shown_loss_ + 0.1 * outcome.loss;
    return;
  }
  warn("step {}: loss {}, gradient norm {}: left out",
       at_.steps_done,
       outcome.loss,
       outcome.gradient_norm);
  guard_.require_finite(collect(objective_, stepper_), at_);
  guard_.require_few_skipped(at_);
}

void Trainer::show_progress() {
  progress_.update({.step = at_.steps_done,
                    .total_steps = plan_.total_steps(),
                    .epoch = epochs_done(),
                    .epochs = plan_.epochs,
                    .loss = shown_loss_,
                    .images_per_second = session_.images_per_second(),
                    .data_wait = session_.wait_share()});
}

// --- what is due after a step --------------------------------------------------------------------

void Trainer::after_step() {
  const int64_t steps = at_.steps_done;
  if (due_.line(steps)) write_line();
  if (due_.previews(steps)) outputs_->add_previews(between_steps_.previews(), epochs_done());
  if (due_.save(steps)) save();
}

void Trainer::write_line() {
  MetricsLine line{at_.steps_done, {{"epoch", epochs_done()}}};
  const auto add = [&](const Scalars& values) {
    line.values.insert(line.values.end(), values.begin(), values.end());
  };
  add(at_.interval_values(last_lr_));
  diagnosis_.look(objective_, line.values, plan_.info(at_.steps_done));
  const Scalars evaluated = evaluate();
  add(evaluated);
  outputs_->write(line);
  at_.start_interval();
  if (at_.take_if_best(evaluated, callbacks_.best_metric)) {
    keeper_.save_best(at_.steps_done, checkpoint());
  }
}

Scalars Trainer::evaluate() {
  const auto every = static_cast<double>(callbacks_.evaluate_epochs);
  const bool due = plan_.due(every, at_.steps_done) || done();
  if (!between_steps_.evaluates() || !plan_.ends_epoch(at_.steps_done) || !due) return {};
  // Weights that aren't finite would get a score like any others.
  guard_.require_finite(collect(objective_, stepper_), at_);
  return between_steps_.evaluate(at_.steps_done / plan_.steps_per_epoch());
}

void Trainer::save() {
  if (!keeper_.has(at_.steps_done)) {
    share_matmul_ways();
    const Checkpoint now = checkpoint();
    guard_.require_finite(now, at_);
    keeper_.save(at_.steps_done, now, /*last=*/done());
  }
  outputs_->write_report(summary());
  world().barrier();  // what follows may read it; and srun ends all where the first rank has ended
}

Checkpoint Trainer::checkpoint() {
  Checkpoint saved = collect(objective_, stepper_);
  saved.backbone_metadata = model_metadata(objective_.kept_model().description,
                                           options_.normalize,
                                           record_.class_names,
                                           record_.crop_pct);
  saved.meta = at_.save();
  saved.meta["samples"] = plan_.epoch.samples;
  saved.meta["epoch"] = epochs_done();
  saved.meta["settings"] = settings_json(settings_);
  saved.meta["matmuls"] = matmul_ways_json();
  return saved;
}

RunSummary Trainer::summary() const {
  const std::string title = fmt::format("{}, {}", options_.objective, options_.model.arch);
  return {.title = record_.title.empty() ? title : record_.title,
          .diagnosis = diagnosis_.text(),
          .finished = done() && !lost_,
          .epochs_done = epochs_done(),
          .epochs = plan_.epochs,
          .seconds = at_.seconds,
          .images_per_second = session_.images_per_second(),
          .flops_per_second = objective_.flops_per_image() * session_.images_per_second(),
          .peak_memory = peak_memory(),
          .skipped_steps = at_.skipped_steps,
          .bad_samples = at_.bad_samples};
}

}  // namespace

int train(Objective& objective,
          BatchSource& source,
          const RunOptions& options,
          const std::string& run_folder,
          bool resume,
          const RunRecord& record,
          const TrainCallbacks& callbacks) {
  if (!resume) require_no_run(run_folder);
  require_same_settings(record.settings);
  share_weights(objective);
  Trainer trainer(objective, source, options, run_folder, record, callbacks);
  if (resume) trainer.resume();
  return trainer.run();
}

}  // namespace previt
