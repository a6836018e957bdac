#include <nlohmann/json.hpp>

#include "cli/knn_probe.h"
#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/temp_folder.h"

using namespace previt;
using Words = std::vector<std::string>;

namespace {

int knn_probe(const Words& words) {
  cli::po::variables_map args;
  cli::po::store(cli::po::command_line_parser(words).options(cli::knn_probe_options()).run(), args);
  cli::po::notify(args);
  return cli::knn_probe(args);
}

}  // namespace

TEST_CASE("the command line of knn_probe is frozen") {
  Words names;
  const auto options = cli::knn_probe_options();
  for (const auto& option : options.options()) names.push_back(option->long_name());
  CHECK(names == Words{"from",
                       "untrained",
                       "image-size",
                       "heads",
                       "precision",
                       "batch",
                       "workers",
                       "device",
                       "data",
                       "out",
                       "k",
                       "temperature",
                       "features",
                       "leave-one-out"});
}

TEST_CASE("knn_probe judges a checkpoint by a data set") {
  const TempFolder temp;
  const std::string from = test::tiny_checkpoint(temp.path());
  const std::string data = "synthetic:shapes,size=16,count=60,val=30";
  const auto result = [&](const Words& more) {
    Words words = {"--from", from, "--data", data, "--out", temp.path(), "--workers", "1"};
    words.insert(words.end(), more.begin(), more.end());
    REQUIRE(knn_probe(words) == 0);
    return nlohmann::json::parse(read_whole_file(temp.path() + "/result.json"));
  };
  const auto split = result({"--k", "5", "20", "--temperature", "0.07", "0.2"});
  CHECK(split["train_images"] == 60);
  CHECK(split["test_images"] == 30);
  CHECK(split["scores"].size() == 4);
  CHECK(split["top5"] >= split["top1"]);
  const auto one_out = result({"--leave-one-out", "--features", "cls+mean", "--k", "1000"});
  CHECK(one_out["test_images"] == 90);
  CHECK(one_out["k"] == 89);
  const auto other = result({"--untrained", "--image-size", "32"});
  CHECK(other["train_images"] == 60);
}

TEST_CASE("what knn_probe is asked wrongly is one line") {
  const TempFolder temp;
  const std::string from = test::tiny_checkpoint(temp.path());
  const std::string data = "synthetic:shapes,size=16,count=20,val=10";
  const auto refuse = [&](const Words& more, const std::string& message) {
    Words words = {"--from", from, "--data", data};
    words.insert(words.end(), more.begin(), more.end());
    CHECK_THROWS_MATCHES(knn_probe(words), UsageError, Catch::Message(message));
  };
  refuse({"--k", "0"}, "--k: 0 is not in [1, inf)");
  refuse({"--temperature", "0"}, "--temperature: 0 is not in (0, inf)");
  refuse({"--features", "all"}, "--features: all is not one of cls, cls+mean, mean, pooled");
  refuse({"--image-size", "13"}, "--image-size: 13 is no multiple of the patch, 8");
  refuse({"--precision", "fp16"}, "--precision: fp16 is not one of fp32, bf16");
  CHECK_THROWS_WITH(knn_probe({"--from", "/no/such", "--data", data}),
                    ContainsSubstring("/no/such: no such file"));
  CHECK_THROWS_WITH(knn_probe({"--from", from, "--data", "/no/images"}),
                    ContainsSubstring("/no/images: there is no such file or folder"));
}
