// A result that is there is never lost: what can't be written is printed, and the other way round.
#include <filesystem>

#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/finetune_command.h"
#include "support/previt_program.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

TEST_CASE("an evaluation whose result.json can't be written prints its result", "[programs]") {
  const TempFolder temp;
  const std::string run = trained(temp.path() + "/run"), eval = temp.path() + "/eval";
  fs::create_directories(eval + "/result.json");  // a folder in its place
  const Words words = {"--from", run, "--eval-only", "--device", "cpu", "--out", eval};
  const Outcome outcome = run_program(program("finetune"), words);
  INFO(outcome.errors);
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.error_lines().back(), ContainsSubstring(eval + "/result.json"));
  CHECK(nlohmann::json::parse(outcome.output).at("images") == 30);
}

TEST_CASE("a result that can't be printed is in result.json", "[programs]") {
  const TempFolder temp;
  const std::string out = temp.path() + "/knn";
  const Words words = {"--from", tiny_checkpoint(temp.path()), "--data", kData};
  const Surroundings full{.output = "/dev/full"};
  const Outcome kept = run_program(
      program("knn_probe"), words + Words{"--device", "cpu", "--k", "3", "--out", out}, full);
  INFO(kept.errors);
  CHECK(kept.code == 0);
  CHECK_THAT(kept.errors, ContainsSubstring("the result is in " + out + "/result.json"));
  CHECK(result_in(out)["test_images"] == 30);

  const Outcome lost =
      run_program(program("knn_probe"), words + Words{"--device", "cpu", "--k", "3"}, full);
  CHECK(lost.code == 1);
  CHECK(lost.error_lines().back() == "stdout: No space left on device");
}
