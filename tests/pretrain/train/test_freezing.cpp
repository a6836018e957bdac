#include <csignal>

#include "models/weights/weights.h"
#include "pretrain/train/freezing.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/multi_crop_run.h"
#include "support/same_checkpoint.h"
#include "support/temp_folder.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

NamedTensors copies(const torch::nn::Module& module) {
  NamedTensors all = named_tensors(module);
  for (auto& [name, tensor] : all) tensor = tensor.detach().clone();
  return all;
}

// Names of the tensors that differ.
std::vector<std::string> changed(const NamedTensors& before, const NamedTensors& after) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : before) {
    if (!torch::equal(tensor, after.at(name))) names.push_back(name);
  }
  return names;
}

bool has_prefix(const std::string& name, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const char* prefix) {
    return name.starts_with(prefix);
  });
}

void make_tiny_steps(Stepper& stepper, int64_t from, int64_t to) {
  MemorySource source(24, 8);
  for (int64_t step = from; step < to; ++step) {
    const StepInfo info{.step = step, .total_steps = 9, .steps_per_epoch = 3, .epochs = 3};
    REQUIRE_FALSE(stepper.step(info, 8, [&] { return source.next(); }).skipped);
  }
}

// 26 images, 3 steps an epoch; a signal comes with the micro-batch `stop_at`, if not negative.
int run(const std::string& folder, bool resume, int64_t stop_at = -1) {
  TinyObjective objective(/*noise=*/true);
  MemorySource source(26, 4, 8);
  int64_t calls = 0;
  source.before_next = [&] {
    if (calls++ == stop_at) std::raise(SIGTERM);
  };
  RunOptions options = tiny_options();
  options.train.micro_batch = 4;
  options.train.precision = Precision::bf16;  // stale copies of weights would show
  options.train.ema_decay = 0.9;
  options.train.freeze_epochs = 1;
  options.output.checkpoint_epochs = 1;
  options.output.keep_last = 10;
  return train(objective, source, options, folder, resume);
}

}  // namespace

TEST_CASE("frozen blocks keep every bit, weight decay and average included") {
  TinyObjective objective;  // of one block
  RunOptions options = tiny_options();
  options.start.freeze_blocks = 1;
  options.optimizer.decay_all = true;
  options.train.ema_decay = 0.9;
  const NamedTensors before = copies(objective);
  Stepper stepper(objective, options);
  make_tiny_steps(stepper, 0, 6);
  CHECK(changed(before, copies(objective)) ==
        std::vector<std::string>{"moves", "vit.norm.bias", "vit.norm.weight", "weight"});
  for (const std::string& name : changed(before, stepper.ema()->tensors())) {
    INFO(name);
    CHECK_FALSE(
        has_prefix(name, {"vit.blocks", "vit.patch_embed", "vit.pos_embed", "vit.cls_token"}));
  }
  for (const auto& [name, tensor] : stepper.optimizer().state()) {
    INFO(name);
    CHECK(name.find("blocks") == std::string::npos);
  }
}

TEST_CASE("the backbone is trained only after the frozen epochs") {
  TinyObjective objective;
  RunOptions options = tiny_options();
  options.train.freeze_epochs = 2;
  options.train.ema_decay = 0.9;
  const NamedTensors before = copies(objective);
  Stepper stepper(objective, options);
  make_tiny_steps(stepper, 0, 6);
  const std::vector<std::string> outside = {"moves", "weight"};
  CHECK(changed(before, copies(objective)) == outside);
  CHECK(changed(before, stepper.ema()->tensors()) == outside);
  make_tiny_steps(stepper, 6, 7);
  const auto names = changed(before, copies(objective));
  CHECK(std::find(names.begin(), names.end(), "vit.blocks.0.attn.qkv.weight") != names.end());
  CHECK(std::find(names.begin(), names.end(), "vit.pos_embed") != names.end());
}

TEST_CASE("a frozen teacher does not follow a frozen student") {
  const CropMethod method = any_method();
  INFO(method.name);
  RunOptions options = small_crop_run();
  options.start.freeze_blocks = 1;
  const auto pair = method.build(options);
  {
    // As from a file that holds both.
    const torch::NoGradGuard no_grad;
    for (const auto& parameter : pair->teacher().backbone->parameters()) parameter.add_(0.01);
  }
  const NamedTensors before = copies(*pair);
  Stepper stepper(*pair, options);
  make_steps(*pair, stepper, 0, 2);
  bool student = false, teacher = false;
  for (const std::string& name : changed(before, copies(*pair))) {
    INFO(name);
    const size_t dot = name.find('.');
    CHECK_FALSE(has_prefix(name.substr(dot == std::string::npos ? 0 : dot + 1),
                           {"backbone.blocks.0.",
                            "backbone.patch_embed.",
                            "backbone.pos_embed",
                            "backbone.cls_token"}));
    student = student || name.starts_with("student.backbone.blocks.1.");
    teacher = teacher || name.starts_with("teacher.backbone.blocks.1.");
  }
  CHECK(student);
  CHECK(teacher);
}

TEST_CASE("a run stopped before or after its frozen epochs ends as an undisturbed one") {
  const TempFolder whole;
  REQUIRE(run(whole.path(), false) == 0);
  const Checkpoint end = newest_checkpoint(whole.path());
  const Checkpoint frozen = load_checkpoint(step_folder(whole.path(), 3));
  CHECK_FALSE(frozen.training.contains("optimizer.step.vit.norm.weight"));
  // The first three steps are not the backbone's.
  CHECK(frozen.training.at("optimizer.step.weight").item<double>() == 3);
  CHECK(end.training.at("optimizer.step.weight").item<double>() == 9);
  CHECK(end.training.at("optimizer.step.vit.norm.weight").item<double>() == 6);

  const TempFolder stopped;
  REQUIRE(run(stopped.path(), false, 3) == 143);  // in the second step
  REQUIRE(run(stopped.path(), true, 3) == 143);   // in the fourth
  CHECK(list_checkpoints(stopped.path()).front().ends_with("step_00000004"));
  REQUIRE(run(stopped.path(), true) == 0);
  CHECK(same_checkpoint(end, newest_checkpoint(stopped.path())));
}
