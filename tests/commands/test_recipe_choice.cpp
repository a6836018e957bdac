#include <map>

#include "augment/dataset/synthetic.h"
#include "augment/open_dataset.h"
#include "commands/recipe_choice.h"
#include "error.h"
#include "pretrain/pretrain_run.h"
#include "support/catch.h"
#include "support/noise_png.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

using Keys = std::map<std::string, std::string>;

const cli::MachineFacts kCpu{.gpu = false, .cores = 2};
const cli::MachineFacts kGpu{.gpu = true, .cores = 16};

PretrainRun run_for(int64_t images,
                    int64_t side,
                    const cli::MachineFacts& machine = kCpu,
                    const std::string& objective = "") {
  const auto choice = cli::choose_recipe({images, side, false}, machine, objective, "photos");
  CHECK(choice.reasons.size() >= 5);
  Recipe recipe = Recipe::parse(choice.recipe);
  return PretrainRun::read(recipe);
}

Keys keys_for(int64_t images,
              int64_t side,
              const cli::MachineFacts& machine = kCpu,
              const std::string& objective = "") {
  const Settings all = run_for(images, side, machine, objective).settings();
  return {all.begin(), all.end()};
}

}  // namespace

TEST_CASE("a few thousand photographs get the small recipe", "[chosen]") {
  Keys keys = keys_for(3500, 300);
  Recipe file =
      Recipe::load(std::string(PREVIT_SOURCE_DIR) + "/recipes/small/mae_vit_small_128.yaml");
  const Settings small = PretrainRun::read(file).settings();
  for (const auto& [key, value] : small) {
    if (key == "data.path") continue;
    INFO(key);
    CHECK(keys[key] == (key == "train.micro_batch" ? "auto" : value));
  }
}

TEST_CASE("few small images get small crops, small batches and many epochs", "[chosen]") {
  Keys keys = keys_for(100, 40);
  CHECK(keys["model.image_size"] == "[32]");
  CHECK(keys["model.patch_size"] == "4");
  CHECK(keys["train.batch"] == "8");
  CHECK(keys["train.epochs"] == "800");
  CHECK(keys["schedule.warmup_epochs"] == "50");
  CHECK(keys_for(100, 64)["model.image_size"] == "[64]");
}

TEST_CASE("many large photographs: more of them, fewer epochs; a GPU takes more", "[chosen]") {
  Keys cpu = keys_for(50000, 500);
  CHECK(cpu["model.image_size"] == "[128]");
  CHECK(cpu["model.embed_dim"] == "192");
  CHECK(cpu["train.batch"] == "128");
  CHECK(cpu["train.epochs"] == "20");
  CHECK(cpu["data.device_augment"] == "false");

  Keys gpu = keys_for(50000, 500, kGpu);
  CHECK(gpu["model.image_size"] == "[224]");
  CHECK(gpu["model.embed_dim"] == "384");
  CHECK(gpu["train.batch"] == "512");
  CHECK(gpu["train.epochs"] == "400");
  CHECK(gpu["data.device_augment"] == "false");

  Keys large = keys_for(1281167, 375, kGpu);
  CHECK(large["model.embed_dim"] == "768");
  CHECK(large["mae.decoder.depth"] == "8");
  CHECK(large["optimizer.base_lr"] == "0.00015");
  CHECK(large["train.batch"] == "1024");
  CHECK(large["train.epochs"] == "300");
}

TEST_CASE("a GPU with few cores beside it augments itself", "[chosen]") {
  const cli::MachineFacts lonely{.gpu = true, .cores = 4};
  Keys keys = keys_for(5000, 300, lonely);
  CHECK(keys["data.device_augment"] == "true");
  CHECK(keys["data.canvas"] == "300");
  CHECK(keys_for(5000, 600, lonely)["data.canvas"] == "448");
  const auto same = cli::choose_recipe({5000, 300, true}, lonely, "", "photos");
  CHECK_THAT(same.recipe, ContainsSubstring("canvas: 0\n"));
}

TEST_CASE("every chosen recipe can be read and built", "[chosen]") {
  for (const std::string objective : {"mae", "dino", "simmim"}) {
    for (const int64_t side : {32, 64, 128, 500}) {
      INFO(objective << " of " << side << " px");
      const PretrainRun run = run_for(3500, side, kCpu, objective);
      CHECK(run.options.objective == objective);
      CHECK(run.options.train.micro_batch == kAutomatic);
      CHECK(run.build()->parameters().size() > 20);
      run_for(3500, side, kGpu, objective);
      run_for(1000000, side, kGpu, objective);
    }
  }
  Keys dino = keys_for(3500, 300, kCpu, "dino");
  Recipe file =
      Recipe::load(std::string(PREVIT_SOURCE_DIR) + "/recipes/small/dino_vit_small_128.yaml");
  const Settings small = PretrainRun::read(file).settings();
  for (const auto& [key, value] : small) {
    // What says how often, and how long, is told by the epochs in each recipe alike.
    if (key == "data.path" || key.starts_with("output.") || key.starts_with("knn.")) continue;
    INFO(key);
    CHECK(dino[key] == (key == "train.micro_batch" ? "auto" : value));
  }
}

TEST_CASE("too few images and methods that need more are refused", "[chosen]") {
  CHECK_THROWS_WITH(cli::choose_recipe({3, 300, false}, kCpu, "", "photos"),
                    "photos: 3 images are too few to learn from; 16 are the least, some thousands "
                    "make sense");
  CHECK_NOTHROW(cli::choose_recipe({16, 300, false}, kCpu, "", "photos"));
  CHECK_THROWS_WITH(cli::choose_recipe({3500, 300, false}, kCpu, "dinos", "photos"),
                    "--objective: dinos is not one of mae, dino, simmim; did you mean dino?; other "
                    "methods need a --recipe");
}

TEST_CASE("the size of images is the median of their short sides", "[chosen]") {
  const auto scenes = make_synthetic(parse_synthetic("shapes,size=48,count=30"), Split::train);
  const cli::ImageFacts facts = cli::look_at(*scenes, "scenes");
  CHECK(facts.images == 30);
  CHECK(facts.short_side == 48);
  CHECK(facts.one_size);
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("images of several sizes, some of them damaged", "[chosen]") {
  const TempFolder temp;
  for (int i = 0; i < 3; ++i) {
    write_noise_png(fmt::format("{}/tall_{}.png", temp.path(), i), 60, 20);
    write_noise_png(fmt::format("{}/wide_{}.png", temp.path(), i), 40, 90);
  }
  write_noise_png(temp.path() + "/one_more.png", 41, 41);
  std::ofstream(temp.path() + "/damaged.png") << "\x89PNG\r\n\x1a\nno more of it";
  const auto facts = cli::look_at(*open_dataset(temp.path()), temp.path());
  CHECK(facts.images == 8);
  CHECK(facts.short_side == 40);
  CHECK_FALSE(facts.one_size);

  const TempFolder bad;
  std::ofstream(bad.path() + "/damaged.png") << "\x89PNG\r\n\x1a\nno more of it";
  CHECK_THROWS_WITH(cli::look_at(*open_dataset(bad.path()), "bad"),
                    "bad: none of 1 images can be read");
}
#endif
