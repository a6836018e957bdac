#include <limits>

#include "files.h"
#include "pretrain/train/metrics_log.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

TEST_CASE("metrics lines after the checkpoint, and a torn one, are dropped") {
  const TempFolder folder;
  const std::string path = folder.path() + "/metrics.jsonl";
  {
    MetricsLog log(path, 0);
    log.write({1, {{"epoch", 0.5}, {"loss", 2}}});
    log.write({2, {{"epoch", 1}, {"loss", std::numeric_limits<double>::quiet_NaN()}}});
    log.write({3, {{"epoch", 1.5}, {"loss", 0.1}}});
  }
  const std::string first = "{\"step\":1,\"epoch\":0.5,\"loss\":2}\n";
  const std::string second = "{\"step\":2,\"epoch\":1,\"loss\":null}\n";
  CHECK(read_whole_file(path) == first + second + "{\"step\":3,\"epoch\":1.5,\"loss\":0.1}\n");
  write_whole_file(path, read_whole_file(path) + "{\"step\":4,\"ep");
  MetricsLog log(path, 2);
  CHECK(read_whole_file(path) == first + second);
  REQUIRE(log.lines().size() == 2);
  CHECK(std::isnan(log.lines()[1].values[1].second));
}

TEST_CASE("averages weigh by images and survive a checkpoint") {
  Averages averages;
  averages.add("loss", 1.0, 3);
  averages.add("loss", 5.0, 1);
  averages.add({{"accuracy", torch::tensor(0.25F)}}, 4);
  Averages other;
  other.add("accuracy", torch::tensor(0.75F), 4);
  averages.merge(other);
  Averages loaded;
  loaded.load(nlohmann::json::parse(averages.save().dump()));
  const Scalars expected = {{"accuracy", 0.5}, {"loss", 2.0}};
  CHECK(averages.means() == expected);
  CHECK(loaded.means() == expected);
}
