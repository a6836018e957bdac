// pretrain --data alone, --time-budget and micro_batch: auto, from the command line to the run
// folder.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "error.h"
#include "files.h"
#include "pretrain/pretrain_run.h"
#include "support/class_folders.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"

using namespace previt;
using namespace previt::test;

namespace {

const std::string kFewScenes = "synthetic:shapes,size=16,count=24,val=0";

// What makes any chosen recipe a matter of seconds, without changing what it is about.
const Words kQuick = {"--device",
                      "cpu",
                      "--set",
                      "model.depth=1",
                      "--set",
                      "model.embed_dim=24",
                      "--set",
                      "train.threads=1",
                      "--set",
                      "train.matmul=fixed",
                      "--set",
                      "data.workers=1",
                      "--set",
                      "output.log_steps=1",
                      "--set",
                      "output.preview_images=0",
                      "--set",
                      "knn.epochs=0"};
const Words kTwoEpochs = {"--set", "train.epochs=2", "--set", "schedule.warmup_epochs=1"};

nlohmann::json first_line(const std::string& folder) {
  std::istringstream lines(read_whole_file(folder + "/metrics.jsonl"));
  std::string line;
  std::getline(lines, line);
  return nlohmann::json::parse(line);
}

RunOptions options_in(const std::string& folder) {
  Recipe recipe = Recipe::load(folder + "/recipe.yaml");
  return PretrainRun::read(recipe).options;
}

}  // namespace

TEST_CASE("a chosen recipe is written whole, and trains the same run again") {
  const TempFolder temp;
  const std::string a = temp.path() + "/a", b = temp.path() + "/b";
  REQUIRE(pretrain(kQuick + kTwoEpochs + Words{"--data", kFewScenes, "--out", a}) == 0);
  const RunOptions chosen = options_in(a);
  CHECK(chosen.data.path == kFewScenes);
  CHECK(chosen.train.micro_batch == 8);  // that of the batch, as it fits
  CHECK(chosen.train.precision != Precision::automatic);
  REQUIRE(pretrain({"--recipe", a + "/recipe.yaml", "--device", "cpu", "--out", b}) == 0);
  CHECK(first_line(a)["step"] == 1);
  CHECK(first_line(a)["loss"] == first_line(b)["loss"]);
  CHECK(read_whole_file(a + "/recipe.yaml") == read_whole_file(b + "/recipe.yaml"));
}

TEST_CASE("a run that goes on needs no recipe but its own") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  const Words words = Words{"--data", kFewScenes, "--out", out} + kQuick;
  REQUIRE(pretrain(words + kTwoEpochs) == 0);
  const std::string written = read_whole_file(out + "/recipe.yaml");
  REQUIRE(pretrain({"--out", out, "--device", "cpu", "--resume"}) == 0);
  CHECK(read_whole_file(out + "/recipe.yaml") == written);
  // Not one that is chosen anew, whose 800 epochs would take long.
  REQUIRE(pretrain({"--data", kFewScenes, "--out", out, "--device", "cpu", "--resume"}) == 0);
  CHECK(read_whole_file(out + "/recipe.yaml") == written);
  CHECK_THROWS_WITH(pretrain({"--out", temp.path() + "/none", "--device", "cpu", "--resume"}),
                    ContainsSubstring("--resume: there is no "));
  CHECK_THROWS_WITH(pretrain(words), ContainsSubstring("holds a run already"));
}

TEST_CASE("a time budget decides the epochs once, and the recipe keeps them") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  const Words words = kTinyMae + Words{"--data",
                                       kFewScenes,
                                       "--out",
                                       out,
                                       "--set",
                                       "train.epochs=100000",
                                       "--set",
                                       "output.checkpoint_epochs=1000"};
  REQUIRE(pretrain(words + Words{"--time-budget", "4s"}) == 0);
  const std::string written = read_whole_file(out + "/recipe.yaml");
  const int64_t epochs = options_in(out).train.epochs;
  CHECK(epochs >= 1);
  CHECK(epochs < 100000);
  REQUIRE(pretrain(words + Words{"--time-budget", "4s", "--resume"}) == 0);
  CHECK(read_whole_file(out + "/recipe.yaml") == written);
}

TEST_CASE("weights without a recipe are trained on as recipes/small/continue says") {
  const TempFolder temp;
  const std::string first = temp.path() + "/first", second = temp.path() + "/second";
  REQUIRE(pretrain(kTinyMae + Words{"--data", kFewScenes, "--out", first} +
                   Words{"--set", "train.epochs=1"}) == 0);
  const Words more = {"--from", first, "--data", kFewScenes, "--device", "cpu", "--out", second};
  CHECK_THROWS_WITH(pretrain(more + Words{"--objective", "simmim"}),
                    "--objective: simmim: from weights, mae or dino; others need a --recipe");
  REQUIRE(pretrain(more + Words{"--set",
                                "model.image_size=[16]",
                                "--set",
                                "train.batch=8",
                                "--set",
                                "train.epochs=1",
                                "--set",
                                "schedule.warmup_epochs=0",
                                "--set",
                                "data.workers=1",
                                "--set",
                                "knn.epochs=0"}) == 0);
  const RunOptions run = options_in(second);
  CHECK(run.objective == "mae");
  CHECK(run.model.embed_dim == 24);  // the weights', of which the recipe says nothing
  CHECK(run.start.from == first);
  CHECK(run.optimizer.base_lr == 5e-4);
}

TEST_CASE("what --time-budget and --objective don't go with is told") {
  CHECK_THROWS_WITH(pretrain(kTinyMae + Words{"--time-budget", "soon"}),
                    "--time-budget: soon is no time like 2h, 30m, 90s or 1h30m");
  CHECK_THROWS_WITH(pretrain(kTinyMae + Words{"--objective", "dino"}),
                    "--objective: is for --data without --recipe; a recipe names its own");
  CHECK_THROWS_WITH(pretrain({"--device", "cpu"}), ContainsSubstring("--recipe: must be given"));
}

TEST_CASE("the run folder is called as the recipe or the images are") {
  const auto folder = [](const Words& words) {
    return cli::run_folder(parse(cli::pretrain_options(), words));
  };
  CHECK(folder({"--recipe", "small/mae.yaml", "--data", "photos"}) == "runs/mae");
  CHECK(folder({"--data", "photos"}) == "runs/photos");
  CHECK(folder({"--data", "/home/me/photos.2023//"}) == "runs/photos.2023");
  CHECK(folder({"--data", "packs/photos.h5"}) == "runs/photos");
  CHECK(folder({"--data", "photos/."}) == "runs/photos");
  CHECK(folder({"--data", "/"}) == "runs/images");
  CHECK(folder({"--data", "synthetic:shapes,size=8"}) == "runs/shapes");
  CHECK(folder({"--data", "synthetic:species"}) == "runs/species");
  CHECK(folder({"--data", "photos", "--out", "x"}) == "x");
}

TEST_CASE("a model that memory can't hold at all ends micro_batch: auto", "[programs]") {
  const TempFolder temp;
  const Words words = kTinyMae + Words{"--data", kFewScenes, "--out", temp.path() + "/run"} +
                      settings({"train.micro_batch=auto", "model.mlp_ratio=1e10"});
  const Outcome outcome = run_program(program("pretrain"), words);
  INFO(outcome.errors);
  CHECK(outcome.code == 1);
  for (const char* told :
       {"warning: train.micro_batch: 4, as 8 images at a time don't fit in memory",
        "warning: train.micro_batch: 1, as 2 images at a time don't fit in memory"}) {
    CHECK_THAT(outcome.errors, ContainsSubstring(told));
  }
  CHECK(outcome.error_lines().back() ==
        "train.micro_batch: auto: not even one image fits in memory; a smaller model or image size "
        "needs less");
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("a folder of images is all that pretrain needs", "[programs]") {
  const TempFolder temp;
  const std::string photos = temp.path() + "/photos", out = temp.path() + "/run";
  write_classes(photos, kColors, 6);
  const Outcome outcome =
      run_program(program("pretrain"), kQuick + kTwoEpochs + Words{"--data", photos, "--out", out});
  INFO(outcome.errors);
  REQUIRE(outcome.code == 0);
  for (const auto& told : {photos + ": 24 images, 16 px (median short side); ",
                           std::string("method: mae, "),
                           std::string("network: "),
                           std::string("images: 32 px in patches of 4, "),
                           std::string("train: 800 epochs in batches of 8: "),
                           std::string("train.micro_batch: 8, the whole batch, as it fits"),
                           std::string("2 epochs of 24 images: about "),
                           std::string("done after step 6 of 6")}) {
    CHECK_THAT(outcome.errors, ContainsSubstring(told));
  }
  CHECK(std::filesystem::exists(out + "/report.html"));

  const Outcome shown =
      run_program(program("pretrain"), {"--data", photos, "--objective", "dino", "--print-recipe"});
  CHECK(shown.code == 0);
  CHECK_THAT(shown.output, ContainsSubstring("objective: dino"));
  CHECK_THAT(shown.output, ContainsSubstring("micro_batch: auto  #"));
  const Outcome budget =
      run_program(program("pretrain"), {"--data", photos, "--time-budget", "2h", "--print-recipe"});
  CHECK_THAT(budget.errors, ContainsSubstring("--time-budget: not fitted yet"));

  std::filesystem::remove_all(photos);
  write_classes(photos, kColors, 1);
  std::filesystem::remove_all(photos + "/red");
  const Outcome few = run_program(program("pretrain"), {"--data", photos});
  CHECK(few.code == 1);
  CHECK_THAT(few.errors,
             ContainsSubstring(photos + ": 3 images are too few to learn from; 16 are the least, "
                                        "some thousands make sense\n"));
}
#endif
