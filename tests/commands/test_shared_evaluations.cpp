// What is evaluated by two processes is what one finds.
#include <algorithm>

#include "commands/finetune.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/class_folders.h"
#include "support/finetune_command.h"
#include "support/previt_program.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

// Runs it alone and as two processes, and returns what each printed.
std::vector<std::string> alone_and_shared(const std::string& name,
                                          const Words& words,
                                          const Words& out_alone,
                                          const Words& out_shared) {
  const Surroundings one_thread{.environment = {{"OMP_NUM_THREADS", "1"}}};
  std::vector<std::string> printed;
  for (const Words& more : {out_alone, out_shared + Words{"--nproc", "2"}}) {
    const Outcome outcome =
        run_program(program(name), words + Words{"--device", "cpu"} + more, one_thread);
    INFO(outcome.errors);
    REQUIRE(outcome.code == 0);
    CHECK(std::count(outcome.output.begin(), outcome.output.end(), '\n') == 1);
    printed.push_back(outcome.output);
  }
  return printed;
}

const Words kImages = {"--data", "synthetic:shapes,size=16,count=50,val=30", "--workers", "1"};
const Words kSmallBatch = {"--batch", "8"};  // 7 + 4 of them, the last ones smaller

}  // namespace

TEST_CASE("two processes of knn_probe find what one finds") {
  const TempFolder temp;
  const Words words = Words{"--from", tiny_checkpoint(temp.path())} + kImages;
  const Words several = {"--k", "5", "20"}, one_out = {"--leave-one-out"};
  for (const Words& more : {several, one_out}) {
    const auto printed = alone_and_shared("knn_probe", words + kSmallBatch + more, {}, {});
    CHECK(printed[0] == printed[1]);
  }
  // Too few images for both.
  const auto few = alone_and_shared("knn_probe", words + Words{"--batch", "64"}, {}, {});
  CHECK(few[0] == few[1]);
}

TEST_CASE("two processes of linear_probe leave the classifier of one") {
  const TempFolder temp;
  const std::string one = temp.path() + "/one", two = temp.path() + "/two";
  const bool augmented = GENERATE(false, true);
  const Words words = Words{"--from", tiny_checkpoint(temp.path())} + kImages + kSmallBatch +
                      settings({"epochs=2", augmented ? "augment=true" : "augment=false"});
  const auto printed = alone_and_shared("linear_probe", words, {"--out", one}, {"--out", two});
  CHECK(printed[0] == printed[1]);
  CHECK(read_whole_file(one + "/head.safetensors") == read_whole_file(two + "/head.safetensors"));
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("two processes of linear_probe keep features and read them again") {
  const TempFolder temp;
  const Words words =
      Words{"--from", tiny_checkpoint(temp.path()), "--cache", temp.path() + "/features.h5"} +
      kImages + kSmallBatch + settings({"epochs=2"});
  const Surroundings one_thread{.environment = {{"OMP_NUM_THREADS", "1"}}};
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 2; ++i) {
    outcomes.push_back(
        run_program(program("linear_probe"), words + Words{"--nproc", "2"}, one_thread));
    INFO(outcomes.back().errors);
    REQUIRE(outcomes.back().code == 0);
  }
  CHECK(outcomes[0].output == outcomes[1].output);
  CHECK_THAT(outcomes[1].errors, ContainsSubstring("features taken from there"));
}

TEST_CASE("two processes of linear_probe take no image twice where some can't be read") {
  const TempFolder temp;
  const std::string photos = temp.path() + "/photos", one = temp.path() + "/one",
                    two = temp.path() + "/two";
  write_classes(photos, kColors, 12);
  for (const char* name : {"/blue/3.png", "/green/5.png", "/red/7.png"}) {
    write_whole_file(photos + name, "no picture");
  }
  // The image after an unreadable one stands in for it, here in a batch that may be another rank's.
  const Words words = Words{"--from", tiny_checkpoint(temp.path()), "--data", photos} +
                      Words{"--batch", "1", "--workers", "1"} +
                      settings({"epochs=10", "augment=true", "data.max_bad_fraction=0.5"});
  alone_and_shared("linear_probe", words, {"--out", one}, {"--out", two});
  CHECK(read_whole_file(one + "/head.safetensors") == read_whole_file(two + "/head.safetensors"));
}

TEST_CASE("two processes of embed write the file of one") {
  const TempFolder temp;
  const std::string one = temp.path() + "/one.h5", two = temp.path() + "/two.h5";
  // 10 batches of 8, then with 64 only one full batch and a smaller one.
  for (const std::string batch : {"8", "64", "100"}) {
    const Words words = {"--from",
                         tiny_checkpoint(temp.path()),
                         "--images",
                         "synthetic:shapes,size=16,count=50,val=30",
                         "--batch",
                         batch,
                         "--workers",
                         "1",
                         "--plot",
                         temp.path() + "/plot.svg"};
    alone_and_shared("embed", words, {"--out", one}, {"--out", two});
    CHECK(read_whole_file(one) == read_whole_file(two));
  }
}
#endif

TEST_CASE("two processes evaluate a classifier as one does") {
  const TempFolder temp;
  const std::string from = trained(temp.path() + "/run");
  const std::string one = temp.path() + "/one", two = temp.path() + "/two";
  // A batch of training that two couldn't share.
  const std::string batch = GENERATE(as<std::string>{}, "train.micro_batch=8", "train.batch=15");
  const Words words = Words{"--from", from, "--eval-only"} + settings({batch});
  alone_and_shared("finetune", words, {"--out", one}, {"--out", two});
  auto alone = result_in(one), shared = result_in(two);
  CHECK(shared["loss"].get<double>() == Approx(alone["loss"].get<double>()).epsilon(1e-12));
  for (auto* result : {&alone, &shared}) result->erase("loss");
  CHECK(alone == shared);
}
