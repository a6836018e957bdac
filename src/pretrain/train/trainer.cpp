#include "pretrain/train/trainer.h"

#include <torch/utils.h>

#include <chrono>
#include <filesystem>

#include "error.h"
#include "log.h"
#include "pretrain/train/metrics_log.h"
#include "pretrain/train/run_plan.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/stop_signal.h"
#include "progress.h"

namespace previt {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What happened since the last metrics line.
struct Interval {
  Averages averages;
  Clock::time_point start = Clock::now();
  int64_t images = 0;
  double wait = 0;  // seconds spent waiting for data
};

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
        plan_(RunPlan::make(options.train, source)),
        stepper_(objective, options) {}

  int run();

 private:
  void make_step();
  void guard(const StepOutcome& outcome);
  void after_step();
  void show_progress();
  void write_line();
  Scalars evaluate();

  Objective& objective_;
  BatchSource& source_;
  const RunOptions& options_;
  const std::string folder_;
  const RunHooks& hooks_;
  RunPlan plan_;
  Stepper stepper_;
  StopSignal stop_;
  Progress progress_;
  std::unique_ptr<MetricsLog> metrics_;

  int64_t steps_done_ = 0;
  int64_t bad_steps_ = 0;
  double last_lr_ = 0;
  Interval interval_;
};

int Run::run() {
  std::filesystem::create_directories(folder_);
  metrics_ = std::make_unique<MetricsLog>(folder_ + "/metrics.jsonl", steps_done_);
  plan_.seek(source_, steps_done_);
  objective_.train();
  while (steps_done_ < plan_.total_steps()) {
    make_step();
    after_step();
    if (stop_.exit_code() != 0) return stop_.exit_code();
  }
  return 0;
}

void Run::make_step() {
  const auto next = [this] {
    const auto start = Clock::now();
    Batch batch = source_.next();
    interval_.wait += seconds_since(start);
    return batch;
  };
  const StepOutcome outcome =
      stepper_.step(plan_.info(steps_done_), plan_.images_in(steps_done_), next);
  ++steps_done_;
  interval_.images += outcome.images;
  last_lr_ = outcome.lr;
  guard(outcome);
  if (plan_.ends_epoch(steps_done_)) plan_.seek(source_, steps_done_);
}

void Run::guard(const StepOutcome& outcome) {
  if (!outcome.skipped) {
    bad_steps_ = 0;
    const auto weight = static_cast<double>(outcome.images);
    interval_.averages.merge(outcome.averages);
    interval_.averages.add("loss", outcome.loss, weight);
    interval_.averages.add("grad_norm", outcome.gradient_norm, weight);
    return;
  }
  ++bad_steps_;
  warn("step {}: loss {} and gradient norm {} are not both finite; step left out",
       steps_done_,
       outcome.loss,
       outcome.gradient_norm);
  require(bad_steps_ < options_.train.max_bad_steps,
          "step {}: {} steps in a row were not finite",
          steps_done_,
          bad_steps_);
}

void Run::after_step() {
  const bool epoch_end = plan_.ends_epoch(steps_done_);
  if (epoch_end || steps_done_ % plan_.steps_per_epoch % options_.output.log_steps == 0)
    write_line();
}

Scalars Run::evaluate() {
  Scalars results;
  if (!hooks_.evaluate || !plan_.ends_epoch(steps_done_)) return results;
  const torch::NoGradGuard no_grad;
  const EmaScope averaged(stepper_.ema());
  objective_.eval();
  for (const auto& [name, value] : hooks_.evaluate(steps_done_ / plan_.steps_per_epoch)) {
    results.emplace_back(name, value);
  }
  objective_.train();
  return results;
}

void Run::write_line() {
  MetricsLine line{steps_done_, {}};
  const double seconds = seconds_since(interval_.start);
  const Scalars means = interval_.averages.means();
  line.values.emplace_back("epoch", plan_.info(steps_done_).epoch());
  line.values.insert(line.values.end(), means.begin(), means.end());
  line.values.emplace_back("lr", last_lr_);
  line.values.emplace_back("images_per_second", static_cast<double>(interval_.images) / seconds);
  line.values.emplace_back("data_wait", interval_.wait / seconds);
  const Scalars evaluated = evaluate();
  line.values.insert(line.values.end(), evaluated.begin(), evaluated.end());
  metrics_->write(line);
  interval_ = Interval{};
}

}  // namespace

int train(Objective& objective,
          BatchSource& source,
          const RunOptions& options,
          const std::string& run_folder,
          bool resume,
          const RunHooks& hooks) {
  if (resume) fail_usage("--resume: not possible yet");
  return Run(objective, source, options, run_folder, hooks).run();
}

}  // namespace previt
