// Names of files, folders and classes are bytes; recipes are UTF-8.
#ifdef PREVIT_WITH_IMAGE_IO
#include "files.h"
#include "support/catch.h"
#include "support/finetune_command.h"
#include "support/noise_png.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"
#include "support/same_checkpoint.h"
#include "utf8.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("names that are no UTF-8 train, go on, evaluate and predict", "[programs]") {
  const TempFolder temp;
  const std::string latin = "caf\xE9", data = temp.path() + "/" + latin + "_data";
  const std::string out = temp.path() + "/" + latin + "_run";
  torch::manual_seed(3);
  for (const std::string split : {"train", "val"}) {
    for (int i = 0; i < 8; ++i) {
      write_noise_png(fmt::format("{}/{}/{}/{}{}.png", data, split, latin, latin, i));
      write_noise_png(fmt::format("{}/{}/dog/{}.png", data, split, i));
    }
  }
  const Words words =
      from_scratch(data, out) + Words{"--device", "cpu"} + settings({"train.threads=1"});
  const Outcome trained = run_program(program("finetune"), words);
  INFO(trained.errors);
  REQUIRE(trained.code == 0);
  CHECK(is_utf8(read_whole_file(out + "/report.html")));
  CHECK(is_utf8(read_whole_file(out + "/recipe.yaml")));
  CHECK_THAT(read_whole_file(out + "/report.html"), ContainsSubstring("caf\\xE9"));
  CHECK(newest_checkpoint(out).backbone_metadata.at("class_names") == R"(["caf\\xE9","dog"])");

  const Outcome longer =
      run_program(program("finetune"), words + Words{"--resume", "--set", "train.epochs=3"});
  INFO(longer.errors);
  CHECK(longer.code == 0);
  CHECK_THAT(longer.errors, !ContainsSubstring("data.path"));  // it is the same
  CHECK(run_program(program("finetune"),
                    {"--from", out, "--data", data, "--eval-only", "--device", "cpu"})
            .code == 0);
  const Outcome predicted = run_program(
      program("predict"), {"--from", out, "--images", data + "/val", "--device", "cpu"});
  INFO(predicted.errors);
  CHECK(predicted.code == 0);
  CHECK(is_utf8(predicted.output));
  CHECK_THAT(predicted.output, ContainsSubstring("caf\\xE9/caf\\xE90.png,"));

  Words pretrain = kTinyMae + Words{"--data", data, "--out", out + "2", "--set", "train.epochs=1"};
  const Outcome pretrained = run_program(program("pretrain"), pretrain);
  INFO(pretrained.errors);
  CHECK(pretrained.code == 0);
  const Outcome by_set = run_program(
      program("pretrain"),
      kTinyMae +
          Words{"--set", "data.path=" + data, "--out", out + "3", "--set", "train.epochs=1"});
  CHECK(by_set.code == 0);
}

TEST_CASE("a recipe that is no UTF-8 is refused by its line, its name may be anything",
          "[programs]") {
  const TempFolder temp;
  const std::string recipe = temp.path() + "/caf\xE9.yaml";
  write_whole_file(recipe, "objective: mae\ndata:\n  path: caf\xE9\n");
  const Outcome refused = run_program(program("pretrain"), {"--recipe", recipe, "--device", "cpu"});
  CHECK(refused.code == 2);
  CHECK(refused.errors.starts_with(recipe + ":3: data.path: is no UTF-8"));
}
#endif
