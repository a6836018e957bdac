// bench memory, bench scaling and bench loader as programs.
#include <nlohmann/json.hpp>

#include "files.h"
#include "support/catch.h"
#include "support/noise_png.h"
#include "support/previt_program.h"
#include "support/temp_folder.h"

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

TEST_CASE("bench loader names the option of an unknown split") {
  const Outcome run = bench({"loader", "--data", "synthetic:shapes", "--split", "tst"});
  CHECK(run.code == 2);
  CHECK(run.errors == "--split: tst is not one of train, val, all\n");
}

TEST_CASE("two processes make bench step's step, and say what they send each other") {
  const std::vector<std::string> words = {"step", "--batch", "4", "--steps", "1", "--set"};
  const auto line_of = [&](std::vector<std::string> more) {
    more.insert(more.begin(), words.begin(), words.end());
    const Outcome run = bench(more);
    INFO(run.errors);
    REQUIRE(run.code == 0);
    return nlohmann::json::parse(run.output);
  };
  const auto one = line_of({"train.micro_batch=2"});
  const previt::TempFolder folder;
  const std::string traced = folder.path() + "/trace.json";
  const auto two = line_of({"train.matmul=fixed", "--nproc", "2", "--trace", traced});
  CHECK(nlohmann::json::parse(previt::read_whole_file(traced)).contains("traceEvents"));
  CHECK(one.count("communication") == 0);
  CHECK(two.at("processes") == 2);
  CHECK(two.at("batch") == 4);
  const auto& sent = two.at("communication");
  CHECK(sent.at("mib").get<double>() > 1);
  CHECK(sent.at("milliseconds").get<double>() > 0);
  CHECK(sent.at("exposed_milliseconds") <= sent.at("milliseconds"));
}

TEST_CASE("bench scaling compares processes with one of one thread") {
  const Outcome run = bench({"scaling", "--batch", "8", "--steps", "2", "--set", "model.depth=1"});
  INFO(run.errors);
  REQUIRE(run.code == 0);
  const auto line = nlohmann::json::parse(run.output);
  CHECK(line.at("processes") == 2);
  CHECK(line.at("batch") == 8);
  CHECK(line.at("micro_batch") == 4);
  const double alone = line.at("one_process").at("median");
  const double together = line.at("processes_together").at("median");
  CHECK(line.at("speedup").get<double>() == Approx(alone / together));
  CHECK(line.at("efficiency").get<double>() == Approx(alone / together / 2));
  const double apart = line.at("processes_apart").at("median");
  CHECK(line.at("efficiency_apart").get<double>() == Approx(alone / apart / 2));
  CHECK(apart > 0);
  CHECK(line.at("exposed_share").get<double>() ==
        Approx(line.at("communication").at("exposed_milliseconds").get<double>() / together));
}

TEST_CASE("bench scaling ends with 1 where a step fails") {
  const Outcome run = bench({"scaling", "--batch", "4", "--steps", "0"});
  CHECK(run.code == 1);
  CHECK_THAT(run.errors, ContainsSubstring("--steps: 0"));
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

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("bench loader times what the processor does of views that a device makes") {
  const previt::TempFolder images;
  previt::test::write_noise_png(images.path() + "/wide.png", 40, 20);
  previt::test::write_noise_png(images.path() + "/tall.png", 20, 40);
  const auto loader = [&](const std::string& setting) {
    return bench({"loader",
                  "--data",
                  images.path(),
                  "--batch",
                  "2",
                  "--batches",
                  "1",
                  "--workers",
                  "1",
                  "--set",
                  "data.device_augment=true",
                  "--set",
                  setting});
  };
  const Outcome several_sizes = loader("data.canvas=0");
  CHECK(several_sizes.code == 2);
  CHECK_THAT(several_sizes.errors, ContainsSubstring("give a side for all of them"));
  const Outcome run = loader("data.canvas=24");
  INFO(run.errors);
  REQUIRE(run.code == 0);
  CHECK(nlohmann::json::parse(run.output).at("images") == 2);
}
#endif

TEST_CASE("the benches of several processes end with 2 on wrong usage") {
  CHECK(bench({"scaling", "--simulate"}).code == 2);
  CHECK(bench({"scaling", "--simulate", "--step-ms", "0"}).code == 2);
  CHECK(bench({"scaling", "--nproc", "1"}).code == 2);
  CHECK(bench({"scaling", "--nproc", "3", "--batch", "4"}).code == 2);
  CHECK(bench({"memory", "--nproc", "0"}).code == 2);
  CHECK(bench({"step", "--nproc", "0"}).code == 2);
  CHECK(bench({"memory", "--nproc", "3", "--batch", "4"}).code == 2);
}
