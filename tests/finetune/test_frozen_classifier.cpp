#include <algorithm>

#include "error.h"
#include "finetune/classifier.h"
#include "models/weights/weights.h"
#include "pretrain/train/stepper.h"
#include "support/catch.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

FinetuneRun frozen_run(int64_t blocks, int64_t epochs) {
  FinetuneRun run;
  run.options = tiny_options();
  run.options.start.freeze_blocks = blocks;
  run.options.train.freeze_epochs = epochs;
  run.augment.height = run.augment.width = 8;
  return run;
}

std::shared_ptr<Vit> small_classifier() {
  VitOptions options;
  options.arch = "custom";
  options.embed_dim = 12;
  options.depth = 2;
  options.num_heads = 2;
  options.image_size = {8};
  options.patch_size = 4;
  options.pool = Pooling::avg;
  options.num_classes = 3;
  torch::manual_seed(5);
  return std::make_shared<Vit>(options);
}

// Names of the Vit's parameters that steps `from` to `to` of three an epoch change.
std::vector<std::string> changed_by(Stepper& stepper, Vit& vit, int64_t from, int64_t to) {
  NamedTensors before = named_tensors(vit);
  for (auto& [name, tensor] : before) tensor = tensor.detach().clone();
  MemorySource source(24, 8);
  for (int64_t step = from; step < to; ++step) {
    const StepInfo info{.step = step, .total_steps = 9, .steps_per_epoch = 3, .epochs = 3};
    REQUIRE_FALSE(stepper.step(info, 8, [&] { return source.next(); }).skipped);
  }
  std::vector<std::string> names;
  for (const auto& [name, tensor] : named_tensors(vit)) {
    if (!torch::equal(tensor, before.at(name))) names.push_back(name);
  }
  return names;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

TEST_CASE("a classifier's head learns while its backbone is frozen") {
  const FinetuneRun run = frozen_run(0, 1);
  const auto vit = small_classifier();
  Classifier classifier(vit, run);
  Stepper stepper(classifier, run.options);
  CHECK(changed_by(stepper, *vit, 0, 3) ==
        std::vector<std::string>{"fc_norm.bias", "fc_norm.weight", "head.bias", "head.weight"});
  const auto later = changed_by(stepper, *vit, 3, 4);
  CHECK(has(later, "blocks.0.attn.qkv.weight"));
  CHECK(has(later, "head.weight"));
}

TEST_CASE("a classifier's first blocks may stay as they are") {
  const FinetuneRun run = frozen_run(1, 0);
  const auto vit = small_classifier();
  Classifier classifier(vit, run);
  Stepper stepper(classifier, run.options);
  const auto names = changed_by(stepper, *vit, 0, 2);
  CHECK_FALSE(has(names, "blocks.0.attn.qkv.weight"));
  CHECK_FALSE(has(names, "patch_embed.proj.weight"));
  CHECK(has(names, "blocks.1.attn.qkv.weight"));
  CHECK(has(names, "head.weight"));
}

TEST_CASE("fine-tuning freezes only weights that are loaded") {
  LoadedModel pretrained;
  pretrained.options = small_classifier()->options();
  const auto read = [](const std::string& text, const LoadedModel* from) {
    auto recipe = Recipe::parse(text, "r.yaml");
    return FinetuneRun::read(recipe, from).options;
  };
  const std::string for_epochs = "train: {freeze_epochs: 1}", blocks = "model: {freeze_blocks: 2}";
  const std::string why = ": is for weights that are loaded; give them with --from";
  CHECK_THROWS_MATCHES(
      read(for_epochs, nullptr), UsageError, Catch::Message("r.yaml:1: train.freeze_epochs" + why));
  CHECK_THROWS_MATCHES(
      read(blocks, nullptr), UsageError, Catch::Message("r.yaml:1: model.freeze_blocks" + why));
  CHECK(read(for_epochs, &pretrained).train.freeze_epochs == 1);
  CHECK(read(blocks, &pretrained).start.freeze_blocks == 2);
  CHECK_THROWS_MATCHES(read("model: {freeze_blocks: 3}", &pretrained),
                       UsageError,
                       Catch::Message("r.yaml:1: model.freeze_blocks: 3 of 2 blocks"));
}
