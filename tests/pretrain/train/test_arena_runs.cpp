// Runs whose weights lie in an arena, as they do on a GPU, and runs whose weights don't.
#include <csignal>
#include <functional>
#include <memory>
#include <optional>

#include "files.h"
#include "finetune/classifier.h"
#include "models/kernels/weight_arena.h"
#include "models/weights/weights.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/trainer.h"
#include "support/called_operators.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "support/same_checkpoint.h"
#include "support/same_tensors.h"
#include "support/small_objective.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

/// A run of three epochs of two steps, on the same images in each step.
struct SmallRun {
  RunOptions options;
  std::function<std::shared_ptr<Objective>()> make;

  std::shared_ptr<Objective> objective(at::Device device = at::kCPU) const {
    torch::manual_seed(7);
    auto made = make();
    made->to(device);
    made->train();
    return made;
  }
};

SmallRun small_pretraining(const std::string& name, const std::vector<std::string>& more = {}) {
  std::vector<std::string> settings = {"train.precision=bf16", "train.ema_decay=0.9"};
  settings.insert(settings.end(), more.begin(), more.end());
  const auto run = std::make_shared<PretrainRun>(small_run(name, settings));
  return {run->options, [run] { return run->build(); }};
}

SmallRun small_finetuning() {
  FinetuneRun run;
  run.options.model = resolve(small_run("mae").options.model);
  run.options.model.num_classes = 3;
  run.options.train.batch = 4;
  run.options.train.precision = Precision::bf16;
  run.options.train.ema_decay = 0.9;
  run.options.optimizer.layer_decay = 0.5;
  run.augment.height = run.augment.width = 16;
  return {run.options, [run] {
            return std::make_shared<Classifier>(std::make_shared<Vit>(run.options.model), run);
          }};
}

StepInfo info_of(int64_t step) {
  return {.step = step, .total_steps = 6, .steps_per_epoch = 2, .epochs = 3};
}

Batch labelled_batch(const Objective& objective, const RunOptions& options) {
  Batch batch = random_batch(objective, options);
  batch.labels = torch::arange(options.train.batch) % 3;
  return batch;
}

void make_step(Objective& objective, Stepper& stepper, const RunOptions& options, int64_t step) {
  const auto next = [&] { return labelled_batch(objective, options); };
  REQUIRE_FALSE(stepper.step(info_of(step), options.train.batch, next).skipped);
}

NamedTensors copied(NamedTensors tensors) {
  for (auto& [name, tensor] : tensors) tensor = tensor.detach().clone();
  return tensors;
}

/// What four steps leave behind.
struct End {
  NamedTensors weights, averages, state;
  double loss = 0;  ///< of the averages
};

End after_four_steps(const SmallRun& run, bool arena) {
  std::optional<CpuArenas> on;
  if (arena) on.emplace();
  const auto objective = run.objective();
  Stepper stepper(*objective, run.options);
  for (int64_t step = 0; step < 4; ++step) make_step(*objective, stepper, run.options, step);
  CHECK(in_arena(objective->parameters().front()) == arena);
  End end{copied(named_tensors(*objective)),
          copied(stepper.ema()->tensors()),
          copied(stepper.optimizer().state())};
  const EmaScope averaged(stepper.ema());
  const auto next = [&] { return labelled_batch(*objective, run.options); };
  end.loss = stepper.try_step(info_of(4), run.options.train.batch, next).loss;
  return end;
}

void check_same_end(const SmallRun& run) {
  const End with = after_four_steps(run, true), without = after_four_steps(run, false);
  check_same_tensors(with.weights, without.weights);
  check_same_tensors(with.averages, without.averages);
  check_same_tensors(with.state, without.state);
  CHECK(with.loss == without.loss);
}

RunOptions options_of_trainer() {
  RunOptions options = tiny_options();
  options.train.micro_batch = 4;
  options.train.precision = Precision::bf16;
  options.train.ema_decay = 0.9;
  options.train.freeze_epochs = 1;
  return options;
}

/// Trains for 9 steps; a signal comes with the micro-batch `stop_at`, if not negative.
int train_tiny(const std::string& folder, bool arena, bool resume = false, int64_t stop_at = -1) {
  std::optional<CpuArenas> on;
  if (arena) on.emplace();
  TinyObjective objective(/*noise=*/true);
  MemorySource source(26, 4, 8);
  int64_t calls = 0;
  source.before_next = [&] {
    if (calls++ == stop_at) std::raise(SIGTERM);
  };
  return train(objective, source, options_of_trainer(), folder, resume);
}

std::string file_of(const TempFolder& run, const std::string& name) {
  return read_whole_file(step_folder(run.path(), 9) + "/" + name);
}

}  // namespace

TEST_CASE("weights in an arena are trained, averaged and followed to the same bits") {
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  check_same_end(small_pretraining(name));
}

TEST_CASE("frozen weights in an arena stay as they are, and are trained when they are released") {
  const std::string name = GENERATE(as<std::string>(), "mae", "dino", "ibot");
  const bool for_epochs = GENERATE(false, true);
  INFO(name << (for_epochs ? ", for an epoch" : ", the first block"));
  SmallRun run = small_pretraining(name);
  (for_epochs ? run.options.train.freeze_epochs : run.options.start.freeze_blocks) = 1;
  check_same_end(run);
}

TEST_CASE("SGD and LARS train weights in an arena to the same bits") {
  const std::string name = GENERATE(as<std::string>(), "sgd", "lars");
  check_same_end(small_pretraining("mae", {"optimizer.name=" + name, "optimizer.momentum=0.9"}));
}

TEST_CASE("a classifier is fine-tuned in an arena to the same bits") {
  check_same_end(small_finetuning());
}

TEST_CASE("a run leaves the same files with an arena, and goes on without one, or the other way") {
  const TempFolder without, with;
  REQUIRE(train_tiny(without.path(), false) == 0);
  REQUIRE(train_tiny(with.path(), true) == 0);
  for (const char* name : {"backbone.safetensors", "training.safetensors"}) {
    CHECK(file_of(with, name) == file_of(without, name));
  }
  const bool first = GENERATE(false, true);
  const TempFolder stopped;
  CHECK(train_tiny(stopped.path(), first, false, 7) == 143);
  CHECK(train_tiny(stopped.path(), !first, true) == 0);
  CHECK(same_checkpoint(newest_checkpoint(stopped.path()), newest_checkpoint(without.path())));
}

TEST_CASE("on a device, averages and teacher take one operator each") {
  if (!counted_device_has_gradients()) return;
  const std::string name = GENERATE(as<std::string>(), "mae", "beit", "dino", "ibot");
  INFO(name);
  const SmallRun run = small_pretraining(name);
  const auto objective = run.objective(counted_device());
  Stepper stepper(*objective, run.options);
  for (int64_t step = 0; step < 3; ++step) make_step(*objective, stepper, run.options, step);
  {
    const CalledOperators called;
    stepper.ema()->update();
    CHECK(called.count("aten::lerp_") == 1);
    CHECK(called.count("aten::_foreach_lerp_") + called.count("aten::mul_") == 0);
  }
  if (name != "dino" && name != "ibot") return;
  const CalledOperators called;
  objective->after_optimizer_step(info_of(3));
  CHECK(called.count("aten::lerp_") == 1);
  CHECK(called.count("aten::_foreach_lerp_") == 0);
}

TEST_CASE(
    "on a device, the average is the weight's moving average, and frozen weights are copied") {
  if (!counted_device_has_gradients()) return;
  const SmallRun run = small_pretraining("dino", {"train.precision=fp32"});
  const auto objective = run.objective(counted_device());
  Stepper stepper(*objective, run.options);
  NamedTensors expected = copied(named_tensors(*objective));
  for (int64_t step = 0; step < 4; ++step) {
    make_step(*objective, stepper, run.options, step);
    for (const auto& [name, weight] : named_tensors(*objective)) {
      at::Tensor& average = expected.at(name);
      average =
          weight.requires_grad() ? 0.9 * average + 0.1 * weight.detach() : weight.detach().clone();
    }
  }
  for (const auto& [name, average] : stepper.ema()->tensors()) {
    INFO(name);
    CHECK(torch::allclose(average.cpu(), expected.at(name).cpu(), 1e-5, 1e-7));
  }
  CHECK(in_arena(objective->parameters().front()));
}
