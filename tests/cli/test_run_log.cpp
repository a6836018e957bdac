// A run's log.txt: what was said before training, and what ended it.
#include "files.h"
#include "support/catch.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("a run's log holds what was said before training, the error that ended it, and all runs",
          "[programs]") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  const auto train = [&](int64_t epochs, const Surroundings& surroundings) {
    const Words words = kTinyMae + Words{"--data", kScenes, "--out", out, "--resume"} +
                        settings({fmt::format("train.epochs={}", epochs)});
    return run_program(program("pretrain"), words, surroundings);
  };
  const Outcome done = train(1, {});
  REQUIRE(done.code == 0);
  CHECK(done.error_lines().back() == "report: " + out + "/report.html");
  const std::string log = read_whole_file(out + "/log.txt");
  CHECK_THAT(log, Catch::Matchers::EndsWith(" report: " + out + "/report.html\n"));
  CHECK_THAT(log, ContainsSubstring(" " + kScenes + ": 128 images\n"));

  const Outcome full = train(2, {.largest_file = 20'000});
  REQUIRE(full.code == 1);
  const std::string both = read_whole_file(out + "/log.txt");
  CHECK(both.starts_with(log));
  CHECK_THAT(both, ContainsSubstring("going on after step 16 of 32"));
  CHECK_THAT(both, Catch::Matchers::EndsWith(" error: " + full.error_lines().back() + "\n"));
}
