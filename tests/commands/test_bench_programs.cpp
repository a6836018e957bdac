// bench memory and bench scaling as programs.
#include <nlohmann/json.hpp>

#include "support/catch.h"
#include "support/previt_program.h"

using previt::test::Outcome;

namespace {

const std::string kRecipe = std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/mae.yaml";

Outcome bench(std::vector<std::string> words) {
  words.insert(words.begin() + 1, {"--recipe", kRecipe, "--set", "train.precision=fp32"});
  return previt::test::run_program(previt::test::program("bench"), words);
}

}  // namespace

TEST_CASE("bench memory's estimate is what it measures") {
  const bool checkpointed = GENERATE(false, true);
  const Outcome run =
      bench({"memory",
             "--batch",
             "16",
             "--measure",
             "--set",
             fmt::format("train.checkpoint_blocks={}", checkpointed ? "all" : "0")});
  REQUIRE(run.code == 0);
  const auto line = nlohmann::json::parse(run.output);
  const double peak = line.at("mib").at("peak");
  CHECK(peak == Approx(line.at("measured_peak_mib").get<double>()).epsilon(0.1));
  const auto& with = line.at("peak_mib_with");
  CHECK(peak == with.at(checkpointed ? "checkpoint_blocks" : "neither"));
  CHECK(with.at("both") <= with.at("checkpoint_blocks"));
  CHECK(with.at("checkpoint_blocks") < with.at("neither"));
  CHECK(line.at("mib").at("optimizer").get<double>() ==
        Approx(line.at("trained_parameters").get<double>() * 8 / (1 << 20)).margin(0.06));
}

TEST_CASE("processes share the optimizer's state and the images of a step") {
  const Outcome run =
      bench({"memory", "--batch", "8", "--nproc", "4", "--set", "train.shard_optimizer=true"});
  REQUIRE(run.code == 0);
  const auto line = nlohmann::json::parse(run.output);
  CHECK(line.at("micro_batch") == 2);
  CHECK(line.at("mib").at("optimizer").get<double>() ==
        Approx(line.at("trained_parameters").get<double>() * 2 / (1 << 20)).margin(0.06));
}

TEST_CASE("bench scaling simulates GPUs up to a number") {
  const Outcome run = bench({"scaling",
                             "--simulate",
                             "--step-ms",
                             "10",
                             "--batch",
                             "2",
                             "--gpus",
                             "4",
                             "--gpu-gbps",
                             "8"});
  REQUIRE(run.code == 0);
  const auto line = nlohmann::json::parse(run.output);
  CHECK(line.at("images_a_gpu") == 2);
  REQUIRE(line.at("weak").size() == 3);
  CHECK(line.at("strong").size() == 2);  // two images keep two GPUs busy
  CHECK(line.at("weak")[0].at("efficiency") == 1);
  // Two GPUs send all bytes once, at 1 GB/s.
  const double seconds = line.at("gradient_mib").get<double>() * (1 << 20) / 1e9;
  CHECK(line.at("weak")[1].at("communication").get<double>() ==
        Approx(seconds * 1e3).epsilon(0.01));
  CHECK(line.at("weak")[2].at("efficiency") < line.at("weak")[1].at("efficiency"));
}

TEST_CASE("the benches of several processes end with 2 on wrong usage") {
  CHECK(bench({"scaling", "--simulate"}).code == 2);
  CHECK(bench({"scaling", "--simulate", "--step-ms", "0"}).code == 2);
  CHECK(bench({"scaling", "--nproc", "1"}).code == 2);
  CHECK(bench({"scaling", "--nproc", "3", "--batch", "4"}).code == 2);
  CHECK(bench({"memory", "--nproc", "0"}).code == 2);
  CHECK(bench({"memory", "--nproc", "3", "--batch", "4"}).code == 2);
}
