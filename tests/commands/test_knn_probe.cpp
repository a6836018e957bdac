#include "commands/knn_probe.h"
#include "error.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/command.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

int knn_probe(const Words& words) { return call(cli::knn_probe_options(), cli::knn_probe, words); }

}  // namespace

TEST_CASE("the command line of knn_probe is frozen") {
  Words names;
  const auto options = cli::knn_probe_options();
  for (const auto& option : options.options()) names.push_back(option->long_name());
  CHECK(names == Words{"from",
                       "weights",
                       "untrained",
                       "image-size",
                       "heads",
                       "precision",
                       "batch",
                       "workers",
                       "device",
                       "data",
                       "set",
                       "out",
                       "k",
                       "temperature",
                       "features",
                       "leave-one-out",
                       "nproc"});
}

TEST_CASE("knn_probe judges a checkpoint by a data set") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path());
  const std::string data = "synthetic:shapes,size=16,count=60,val=30";
  const auto result = [&](const Words& more) {
    const Words words =
        Words{"--from", from, "--data", data, "--out", temp.path(), "--workers", "1"} + more;
    REQUIRE(knn_probe(words) == 0);
    return result_in(temp.path());
  };
  const auto split = result({"--k", "5", "20", "--temperature", "0.07", "0.2"});
  CHECK(split["train_images"] == 60);
  CHECK(split["test_images"] == 30);
  CHECK(split["scores"].size() == 4);
  CHECK(split["top5"] >= split["top1"]);
  // The result is of the first given; the best of all is told apart.
  CHECK(split["k"] == 5);
  CHECK(split["temperature"] == 0.07);
  CHECK(split["top1"] == split["scores"][0]["top1"]);
  double best = 0;
  for (const auto& score : split["scores"]) best = std::max(best, score["top1"].get<double>());
  CHECK(split["best"]["top1"] == best);
  const auto one_out = result({"--leave-one-out", "--features", "cls+mean", "--k", "1000"});
  CHECK(one_out["test_images"] == 90);
  CHECK(one_out["k"] == 89);
  const auto other = result({"--untrained", "--image-size", "32"});
  CHECK(other["train_images"] == 60);
}

TEST_CASE("what knn_probe is asked wrongly is one line") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path());
  const std::string data = "synthetic:shapes,size=16,count=20,val=10";
  const auto refuse = [&](const Words& more, const std::string& message) {
    const Words words = Words{"--from", from, "--data", data} + more;
    CHECK_THROWS_MATCHES(knn_probe(words), UsageError, Catch::Message(message));
  };
  refuse({"--k", "0"}, "--k: 0 is not in [1, inf)");
  refuse({"--temperature", "0"}, "--temperature: 0 is not in (0, inf)");
  refuse({"--features", "all"}, "--features: all is not one of cls, cls+mean, mean, pooled");
  refuse({"--image-size", "13"}, "--image-size: 13 is no multiple of the patch, 8");
  refuse({"--precision", "fp16"},
         "--precision: fp16 is not one of auto, bf16, fp32; did you mean bf16?");
  CHECK_THROWS_WITH(knn_probe({"--from", "/no/such", "--data", data}),
                    ContainsSubstring("/no/such: no such file"));
  CHECK_THROWS_WITH(knn_probe({"--from", from, "--data", "/no/images"}),
                    ContainsSubstring("/no/images: there is no such file or folder"));
}
