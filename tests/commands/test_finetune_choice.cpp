// How finetune trains where no recipe is given.
#include <map>

#include "commands/finetune_choice.h"
#include "finetune/finetune_options.h"
#include "support/catch.h"
#include "support/finetune_command.h"

using namespace previt;
using namespace previt::test;

namespace {

using Keys = std::map<std::string, std::string>;

Keys keys_for(int64_t images, const std::string& model) {
  Recipe network = Recipe::parse(model);
  const VitOptions options = FinetuneRun::read(network, nullptr).options.model;
  Recipe recipe =
      Recipe::parse(cli::choose_finetuning(images, options, "photos").recipe + model, "chosen");
  const Settings all = FinetuneRun::read(recipe, nullptr).settings();
  return {all.begin(), all.end()};
}

const std::string kNarrow =
    "model: {arch: vit_small, embed_dim: 192, depth: 8, num_heads: 3, image_size: [128], "
    "drop_path: 0.1, pool: avg}\n";
const std::string kBase = "model: {arch: vit_base}\n";

}  // namespace

TEST_CASE("a few thousand labelled photographs get the small recipe", "[chosen]") {
  Keys keys = keys_for(3500, kNarrow);
  Recipe file =
      Recipe::load(std::string(PREVIT_SOURCE_DIR) + "/recipes/small/finetune_vit_small_128.yaml");
  for (const auto& [key, value] : FinetuneRun::read(file, nullptr).settings()) {
    if (key == "data.path") continue;
    INFO(key);
    CHECK(keys[key] == value);
  }
}

TEST_CASE("few labels get small batches and more epochs, many get MAE's settings", "[chosen]") {
  Keys few = keys_for(400, kNarrow);
  CHECK(few["train.batch"] == "32");
  CHECK(few["train.epochs"] == "100");
  CHECK(std::stod(few["optimizer.base_lr"]) == Approx(4e-3));  // half the rate of a batch of 128
  CHECK(keys_for(5, kNarrow)["train.batch"] == "16");
  CHECK(keys_for(50'000, kNarrow)["train.epochs"] == "25");
  const Keys many = keys_for(100'000, kBase), official = keys_for(1'281'167, kBase);
  CHECK(many == official);
  CHECK(many.at("finetune.mixup") == "0.8");
  CHECK(many.at("train.epochs") == "100");
}

TEST_CASE("a wide network keeps MAE's rate, small pictures are changed little", "[chosen]") {
  Keys wide = keys_for(400, kBase);
  CHECK(wide["optimizer.base_lr"] == keys_for(100'000, kBase)["optimizer.base_lr"]);
  CHECK(wide["train.micro_batch"] == "16");
  Keys small = keys_for(400, "model: {arch: vit_tiny, image_size: [32], patch_size: 4}\n");
  CHECK(small["augment.rand_augment"] == "");
  CHECK(small["finetune.erasing"] == "0");
}

TEST_CASE("finetune without a recipe takes as many labels as it is to train on", "[chosen]") {
  const auto batch = [](const Words& more) {
    const Words words{"--from", "none", "--data", "synthetic:shapes,size=16,count=800,val=30"};
    const Words network = settings({"model.arch=vit_tiny", "model.image_size=[16]"});
    return cli::FinetuneJob::read(parse(words + network + more)).run.options.train.batch;
  };
  CHECK(batch({}) == 64);
  CHECK(batch(settings({"finetune.per_class=50"})) < 64);
  CHECK(batch(settings({"train.batch=10"})) == 10);
}
