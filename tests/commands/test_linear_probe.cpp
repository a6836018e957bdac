#include <chrono>
#include <filesystem>

#include "augment/open_dataset.h"
#include "commands/feature_cache.h"
#include "commands/linear_probe.h"
#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/command.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

const std::string kData = "synthetic:shapes,size=16,count=120,val=30";

int linear_probe(const Words& words) {
  return call(cli::linear_probe_options(), cli::linear_probe, words);
}

}  // namespace

TEST_CASE("linear_probe judges a checkpoint by each protocol") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path()), out = temp.path() + "/out";
  const auto result = [&](const Words& more) {
    const Words words =
        Words{"--from", from, "--data", kData, "--out", out, "--set", "epochs=2"} + more;
    REQUIRE(linear_probe(words) == 0);
    return result_in(out);
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
  const std::string from = tiny_checkpoint(temp.path()), cache = temp.path() + "/cache.h5";
  const auto run = [&](const Words& more) {
    const Words words = Words{"--from",
                              from,
                              "--data",
                              kData,
                              "--out",
                              temp.path(),
                              "--set",
                              "epochs=2",
                              "--cache",
                              cache} +
                        more;
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

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("what images are there is told by names, classes, sizes and times") {
  const TempFolder temp;
  const std::string root = temp.path() + "/data/";
  const auto write = [&](const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(root + name).parent_path());
    write_whole_file(root + name, bytes);
  };
  write("cat/1.png", "one");
  write("dog/2.png", "two");
  const auto identity = [&] { return cli::images_identity(root, *open_dataset(root, Split::all)); };
  const std::string first = identity();
  CHECK(identity() == first);
  std::vector<std::string> seen = {first};
  const auto changed = [&] {
    const bool known = std::find(seen.begin(), seen.end(), identity()) != seen.end();
    seen.push_back(identity());
    return !known;
  };
  write("dog/2.png", "three");
  CHECK(changed());
  std::filesystem::last_write_time(root + "dog/2.png",
                                   std::filesystem::file_time_type() + std::chrono::hours(1));
  CHECK(changed());
  std::filesystem::rename(root + "dog/2.png", root + "dog/3.png");
  CHECK(changed());
  std::filesystem::rename(root + "dog", root + "fox");
  CHECK(changed());
  const std::string cifar = "cifar/cifar-10-batches-bin/test_batch.bin";
  const auto cifar_identity = [&] {
    return cli::images_identity(root + "cifar", *open_dataset(root + "cifar", Split::all));
  };
  write(cifar, std::string(3073, '\1'));
  const std::string before = cifar_identity();
  CHECK(cifar_identity() == before);
  std::filesystem::last_write_time(root + cifar,
                                   std::filesystem::file_time_type() + std::chrono::hours(1));
  CHECK(cifar_identity() != before);
  CHECK(cli::images_identity("synthetic:a", *open_dataset("synthetic:shapes,count=9,val=0")) !=
        cli::images_identity("synthetic:a", *open_dataset("synthetic:shapes,count=8,val=0")));
}
#endif

TEST_CASE("what linear_probe is asked wrongly is one line") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path());
  const auto refuse = [&](const Words& more, const std::string& message) {
    const Words words = Words{"--from", from, "--data", kData} + more;
    CHECK_THROWS_MATCHES(linear_probe(words), UsageError, Catch::Message(message));
  };
  refuse({"--set", "epoch=3"}, "--set epoch=3: epoch: unknown key; did you mean epochs?");
  refuse({"--set", "holdout=1"}, "--set holdout=1: holdout: 1 is not in (0, 1)");
  refuse({"--set", "blocks=3"}, "--set blocks=3: blocks: 3: the model has 2");
}
