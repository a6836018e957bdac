#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/linear_probe.h"
#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/temp_folder.h"

using namespace previt;
using Words = std::vector<std::string>;

namespace {

const std::string kData = "synthetic:shapes,size=16,count=120,val=30";

int linear_probe(const Words& words) {
  cli::po::variables_map args;
  cli::po::store(cli::po::command_line_parser(words).options(cli::linear_probe_options()).run(),
                 args);
  cli::po::notify(args);
  return cli::linear_probe(args);
}

}  // namespace

TEST_CASE("linear_probe judges a checkpoint by each protocol") {
  const TempFolder temp;
  const std::string from = test::tiny_checkpoint(temp.path()), out = temp.path() + "/out";
  const auto result = [&](const Words& more) {
    Words words = {"--from", from, "--data", kData, "--out", out, "--set", "epochs=2"};
    words.insert(words.end(), more.begin(), more.end());
    REQUIRE(linear_probe(words) == 0);
    return nlohmann::json::parse(read_whole_file(out + "/result.json"));
  };
  const auto dino = result({});
  CHECK(dino["images"] == 30);
  CHECK(dino["chosen_by_images"] == 10);  // one of each class
  CHECK(dino["classifiers"].size() == 5);
  CHECK(std::filesystem::exists(out + "/head.safetensors"));
  CHECK(result({"--set", "protocol=mae", "--set", "lrs=[0.1]"})["classifiers"].size() == 1);
  const auto beit = result({"--set", "protocol=beit", "--set", "lrs=[0.001]"});
  CHECK(beit["classifiers"].size() == 2);
  CHECK(beit["classifiers"][1]["block"] == 1);
  CHECK(result({"--set", "augment=true"})["images"] == 30);
  CHECK(result({"--untrained"})["images"] == 30);
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("kept features are taken again, but only for the same network and setting") {
  const TempFolder temp;
  const std::string from = test::tiny_checkpoint(temp.path()), cache = temp.path() + "/cache.h5";
  const auto run = [&](const Words& more) {
    Words words = {"--from", from,  "--data", kData,    "--out",     temp.path(),
                   "--set",  "epochs=2", "--cache", cache};
    words.insert(words.end(), more.begin(), more.end());
    REQUIRE(linear_probe(words) == 0);
    return read_whole_file(temp.path() + "/result.json");
  };
  const std::string first = run({});
  const auto made = std::filesystem::last_write_time(cache);
  CHECK(run({}) == first);
  CHECK(std::filesystem::last_write_time(cache) == made);
  run({"--set", "lrs=[0.01]"});
  CHECK(std::filesystem::last_write_time(cache) == made);
  run({"--untrained"});
  CHECK(std::filesystem::last_write_time(cache) > made);
  CHECK_THROWS_WITH(
      linear_probe({"--from", from, "--data", kData, "--cache", cache, "--set", "augment=true"}),
      "--cache: with augment=true the features are others each epoch");
}
#endif

TEST_CASE("what linear_probe is asked wrongly is one line") {
  const TempFolder temp;
  const std::string from = test::tiny_checkpoint(temp.path());
  const auto refuse = [&](const Words& more, const std::string& message) {
    Words words = {"--from", from, "--data", kData};
    words.insert(words.end(), more.begin(), more.end());
    CHECK_THROWS_MATCHES(linear_probe(words), UsageError, Catch::Message(message));
  };
  refuse({"--set", "epoch=3"}, "--set epoch=3: epoch: unknown key; did you mean epochs?");
  refuse({"--set", "holdout=1"}, "--set holdout=1: holdout: 1 is not in (0, 1)");
  refuse({"--set", "blocks=3"}, "--set blocks=3: blocks: 3: the model has 2");
}
