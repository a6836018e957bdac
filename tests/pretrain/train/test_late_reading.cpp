// Steps whose loss and norm the host reads when the next one is queued: they must end as those that
// it reads at once, and leave out the same.
#include <algorithm>
#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "error.h"
#include "files.h"
#include "pretrain/train/run_state.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "support/same_checkpoint.h"
#include "support/small_objective.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kSteps = 5;

StepInfo info_of(int64_t step) {
  return {.step = step, .total_steps = 8, .steps_per_epoch = 4, .epochs = 2};
}

std::shared_ptr<Objective> build(const PretrainRun& run) {
  torch::manual_seed(7);
  auto objective = run.build();
  objective->train();
  return objective;
}

// Each step asks for the outcome of the one before. The pixels of step `broken` are NaN.
std::vector<StepOutcome> make_steps(Objective& objective,
                                    Stepper& stepper,
                                    const RunOptions& options,
                                    int64_t from,
                                    int64_t to,
                                    int64_t broken) {
  std::vector<StepOutcome> outcomes;
  std::optional<QueuedStep> before;
  for (int64_t step = from; step < to; ++step) {
    Batch batch = random_batch(objective, options);
    for (at::Tensor& view : batch.views) view = step == broken ? view * kNan : view.roll(step, 0);
    QueuedStep queued = stepper.queue(info_of(step), options.train.batch, [&] { return batch; });
    if (before) outcomes.push_back(before->outcome());
    before.emplace(std::move(queued));
  }
  outcomes.push_back(before->outcome());
  return outcomes;
}

struct Made {
  std::vector<StepOutcome> outcomes;
  Checkpoint state;
};

Made make_all(const PretrainRun& run, Reading reading, int64_t broken) {
  const auto objective = build(run);
  Stepper stepper(*objective, run.options, reading);
  Made made;
  made.outcomes = make_steps(*objective, stepper, run.options, 0, kSteps, broken);
  made.state = collect(*objective, stepper);
  return made;
}

// Bit for bit, but for averaged weights, which are made in another order. Where a parameter got its
// first gradient in a step that was left out, the late optimizer has zeros of it, and the other
// nothing, which is the same to go on from.
void check_same_state(const NamedTensors& late, const NamedTensors& at_once, bool averaged) {
  for (const auto& [name, tensor] : at_once) {
    INFO(name);
    CHECK(late.contains(name));
  }
  for (const auto& [name, tensor] : late) {
    INFO(name);
    const auto found = at_once.find(name);
    const at::Tensor other = found == at_once.end() ? torch::zeros_like(tensor) : found->second;
    const bool close = averaged && torch::allclose(tensor, other, 1e-6, 1e-7);
    const bool same = close || torch::equal(tensor, other);
    CHECK(same);
  }
}

// What a trainer does on the counted device, where it reads late: 26 images, 3 steps of 8 an epoch,
// of which those at `broken` are not finite.
int run_there(const std::string& folder,
              bool resume,
              std::vector<int64_t> broken = {},
              int64_t stop_at = -1,
              at::Device device = counted_device()) {
  TinyObjective objective(/*noise=*/true);
  objective.to(device);
  objective.change_loss = [&](const at::Tensor& loss, const StepInfo& info) {
    const bool bad = std::find(broken.begin(), broken.end(), info.step) != broken.end();
    return bad ? loss * kNan : loss;
  };
  MemorySource source(26, 8, 8);
  int64_t calls = 0;
  source.before_next = [&] {
    if (calls++ == stop_at) std::raise(SIGTERM);
  };
  RunOptions options = tiny_options();
  options.train.ema_decay = 0.9;
  options.train.max_bad_steps = 2;
  options.optimizer.clip_grad = 0.5;
  options.output.log_steps = 100;  // nothing is due but at the end of an epoch
  options.output.checkpoint_epochs = 1;
  options.output.keep_last = 10;
  return train(objective, source, options, folder, resume);
}

std::vector<nlohmann::json> metrics(const std::string& folder) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_whole_file(folder + "/metrics.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace

TEST_CASE("every objective ends the same whether a step is read late or at once, left out or not") {
  const std::string name = GENERATE(from_range(objectives()));
  const int64_t broken = GENERATE(-1, 0, 2, kSteps - 1);
  if (name == "beit" && broken >= 0) return;  // there are no tokens of pixels that are NaN
  INFO(name << ", broken " << broken);
  const PretrainRun run = small_run(name);
  const Made late = make_all(run, Reading::late, broken);
  const Made at_once = make_all(run, Reading::at_once, broken);
  for (int64_t i = 0; i < kSteps; ++i) {
    const StepOutcome &a = late.outcomes.at(i), &b = at_once.outcomes.at(i);
    CHECK(a.skipped == (i == broken));
    CHECK(b.skipped == (i == broken));
    if (i == broken) continue;
    CHECK(a.loss == b.loss);
    CHECK(a.gradient_norm == b.gradient_norm);
  }
  check_same_state(late.state.backbone, at_once.state.backbone, run.options.train.ema_decay > 0);
  check_same_state(late.state.training, at_once.state.training, run.options.train.ema_decay > 0);
}

TEST_CASE("a moving average takes nothing from a step that is left out") {
  RunOptions options = tiny_options();
  options.train.ema_decay = 0.75;
  TinyObjective objective;
  Stepper stepper(objective, options, Reading::late);
  MemorySource source(24, 8);
  const auto next = [&] { return source.next(); };
  at::Tensor expected = objective.weight.detach().clone();
  for (int64_t step = 0; step < 4; ++step) {
    const bool bad = step == 2;
    objective.change_loss = [&](const at::Tensor& loss, const StepInfo&) {
      return bad ? loss * kNan : loss;
    };
    CHECK(stepper.step(info_of(step), 8, next).skipped == bad);
    if (!bad) expected = 0.75 * expected + 0.25 * objective.weight.detach();
    CHECK(torch::allclose(stepper.ema()->tensors().at("weight"), expected, 1e-6, 1e-7));
    CHECK(stepper.ema()->tensors().at("moves").item<double>() == (step < 2 ? step + 1 : step));
  }
  CHECK(objective.moves.item<double>() == 3);
}

TEST_CASE("a late step goes on exactly from a checkpoint in between") {
  const std::string name = GENERATE("mae", "dino");
  const int64_t broken = GENERATE(1, 3);
  INFO(name << ", broken " << broken);
  const PretrainRun run = small_run(name);
  const Made whole = make_all(run, Reading::late, broken);

  const TempFolder folder;
  {
    const auto objective = build(run);
    Stepper stepper(*objective, run.options, Reading::late);
    make_steps(*objective, stepper, run.options, 0, 2, broken);
    save_checkpoint(folder.path(), 2, collect(*objective, stepper));
  }
  torch::manual_seed(99);
  const auto objective = run.build();
  objective->train();
  Stepper stepper(*objective, run.options, Reading::late);
  restore(newest_checkpoint(folder.path()), *objective, stepper);
  make_steps(*objective, stepper, run.options, 2, kSteps, broken);
  CHECK(same_checkpoint(collect(*objective, stepper), whole.state));
}

TEST_CASE("an optimizer that can't leave out a step is read at once") {
  RunOptions options = tiny_options();
  options.optimizer.name = OptimizerKind::sgd;
  TinyObjective objective;
  CHECK_THROWS_AS(Stepper(objective, options, Reading::late), Error);
  CHECK(Stepper(objective, options).steps_ahead() == 0);
  options.optimizer.name = OptimizerKind::adamw;
  CHECK(Stepper(objective, options).steps_ahead() == 0);
  objective.to(counted_device());
  CHECK(Stepper(objective, options).steps_ahead() == 1);
}

TEST_CASE("a run that reads late writes what one does that reads at once") {
  if (!counted_device_has_gradients()) return;
  const TempFolder there, here;
  REQUIRE(run_there(there.path(), false, {4}) == 0);
  REQUIRE(run_there(here.path(), false, {4}, -1, at::kCPU) == 0);
  const auto late = metrics(there.path()), at_once = metrics(here.path());
  REQUIRE(late.size() == at_once.size());
  for (size_t i = 0; i < late.size(); ++i) {
    CHECK(late[i]["step"] == at_once[i]["step"]);
    CHECK(late[i].value("skipped_steps", 0) == at_once[i].value("skipped_steps", 0));
    for (const char* key : {"loss", "grad_norm", "feature_mean"}) {
      CHECK(late[i][key].get<double>() == Approx(at_once[i][key].get<double>()).epsilon(1e-3));
    }
  }
  const Checkpoint saved = newest_checkpoint(there.path());
  CHECK(saved.meta.at("step") == 9);
  CHECK(saved.meta.at("skipped_steps") == 1);
  CHECK(saved.training.at("objective.moves").item<double>() == 8);
}

TEST_CASE("a late run that is stopped and resumed ends as an undisturbed one") {
  if (!counted_device_has_gradients()) return;
  const TempFolder whole, stopped;
  REQUIRE(run_there(whole.path(), false, {4}) == 0);
  // The source is ahead of the step, so the signal comes with the batch of step 5 in step 3.
  CHECK(run_there(stopped.path(), false, {4}, 5) == 143);
  const Checkpoint between = newest_checkpoint(stopped.path());
  CHECK(between.meta.at("step") == 4);
  CHECK(run_there(stopped.path(), true, {4}) == 0);
  CHECK(same_checkpoint(newest_checkpoint(whole.path()), newest_checkpoint(stopped.path())));
  for (const char* key : {"loss", "grad_norm", "feature_mean"}) {
    CHECK(metrics(whole.path()).back()[key] == metrics(stopped.path()).back()[key]);
  }
}

TEST_CASE("the guard counts steps left out in a row though it reads them late") {
  if (!counted_device_has_gradients()) return;
  const TempFolder folder;
  CHECK_THROWS_WITH(run_there(folder.path(), false, {3, 4}),
                    ContainsSubstring("step 5: loss or gradients were not finite 2 times") &&
                        ContainsSubstring(step_folder(folder.path(), 3)));
  const TempFolder apart;
  CHECK(run_there(apart.path(), false, {3, 5, 7}) == 0);
}
