// A fine-tuning that goes on, or is evaluated, has the images it began with, whichever version drew
// them and however its folder has changed.
#include <filesystem>

#include "augment/open_dataset.h"
#include "cli/labelled_data.h"
#include "error.h"
#include "files.h"
#include "finetune/split.h"
#include "support/catch.h"
#include "support/class_folders.h"
#include "support/finetune_command.h"

using namespace previt;
using namespace previt::test;

namespace {

namespace fs = std::filesystem;

const std::string kWhole = "synthetic:shapes,size=16,count=200,val=0";

struct Run {
  TempFolder temp;
  std::string out = temp.path() + "/run";

  void train(const std::string& data, const Words& more = {}) const {
    const Words words = Words{"--from", "none", "--data", data, "--out", out} + kTiny +
                        Words{"--set", "finetune.per_class=3", "--set", "train.seed=5"};
    REQUIRE(finetune(words + more) == 0);
  }
  void resume(const std::string& data) const {
    train(data, {"--resume", "--set", "train.epochs=3"});
  }
  std::string list(const char* name) const { return read_whole_file(out + "/" + name); }
};

std::string list_of(const Dataset& images) {
  auto names = nlohmann::json::array();
  for (int64_t i = 0; i < images.size(); ++i) names.push_back(images.name(i));
  return names.dump(0) + "\n";
}

// What versions without lists drew from train.seed 5 and subset_seed 0.
struct Older {
  std::string held_out, few_shot;

  Older() {
    const auto all = open_dataset(kWhole, Split::train);
    const StratifiedSplit split =
        stratified_split(cli::labels_of(*all, kWhole), 0.1, 5, Stream::older_choice);
    held_out = list_of(*select(all, split.held_out));
    few_shot = list_of(*subset(select(all, split.train), 3, 0, Stream::older_choice));
  }
};

}  // namespace

TEST_CASE("a run that goes on has the images in its lists") {
  const Run run;
  run.train(kWhole);
  const Older older;
  REQUIRE(run.list("held_out.json") != older.held_out);
  REQUIRE(run.list("few_shot.json") != older.few_shot);
  write_whole_file(run.out + "/held_out.json", older.held_out);
  write_whole_file(run.out + "/few_shot.json", older.few_shot);
  run.resume(kWhole);
  CHECK(run.list("held_out.json") == older.held_out);
  CHECK(run.list("few_shot.json") == older.few_shot);
}

TEST_CASE("a run without lists has the images that its older version drew") {
  const Run run;
  run.train(kWhole);
  const auto first = run.list("few_shot.json");
  const Older older;
  const auto forget = [&](const char* name) { REQUIRE(fs::remove(run.out + "/" + name)); };

  SECTION("both") {
    forget("held_out.json");
    forget("few_shot.json");
    run.resume(kWhole);
    CHECK(run.list("held_out.json") == older.held_out);
    CHECK(run.list("few_shot.json") == older.few_shot);
    const auto result = result_in(run.out);
    forget("held_out.json");
    const std::string eval = run.temp.path() + "/eval";
    REQUIRE(finetune({"--from", run.out, "--eval-only", "--out", eval}) == 0);
    CHECK(result_in(eval)["images"] == result["images"]);
    CHECK(result_in(eval)["loss"].get<double>() ==
          Approx(result["loss"].get<double>()).epsilon(1e-6));
  }
  SECTION("only where it has a checkpoint, and so has begun") {
    fs::remove_all(run.out + "/checkpoints");
    forget("few_shot.json");
    run.resume(kWhole);
    CHECK(run.list("few_shot.json") == first);
  }
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("images that are added don't change which ones a run was cut to") {
  const Run run;
  const std::string data = run.temp.path() + "/data";
  write_classes(data + "/train", kColors, 8, 1);
  write_classes(data + "/val", kColors, 5, 2);
  run.train(data);
  const std::string first = run.list("few_shot.json");
  CHECK(run.list("held_out.json") == "[]\n");
  for (const ColorClass& color : kColors) {
    const std::string folder = data + "/train/" + color.name;
    fs::copy(folder + "/0.png", folder + "/00.png");
  }
  run.resume(data);
  CHECK(run.list("few_shot.json") == first);
}
#endif
