#include <filesystem>
#include <nlohmann/json.hpp>

#include "batch.h"
#include "commands/embed.h"
#include "error.h"
#include "grey.h"
#include "models/weights/load_model.h"
#include "support/catch.h"
#include "support/finetune_command.h"
#include "support/pretrain_command.h"

using namespace previt;
using namespace previt::test;

namespace {

const Words kGrey = {"--set", "model.in_channels=1"};

}  // namespace

TEST_CASE("RGB becomes grey as Pillow's where the network has one channel") {
  NormalizeOptions options{.mean = {0.5}, .std = {0.25}};
  const auto grey = [&](int red, int green, int blue) {
    const at::Tensor rgb = torch::tensor({red, green, blue}, torch::kUInt8).view({1, 3, 1, 1});
    const at::Tensor value = normalize(rgb, options, torch::kCPU);
    REQUIRE(value.sizes() == std::vector<int64_t>{1, 1, 1, 1});
    return value.item<double>();
  };
  const auto normal = [](double byte) { return Approx((byte / 255 - 0.5) / 0.25).margin(1e-5); };
  CHECK(grey(255, 255, 255) == normal(255));
  CHECK(grey(200, 100, 50) == normal(124));  // 0.299 R + 0.587 G + 0.114 B = 124.2
  CHECK(grey(0, 1, 0) == normal(1));
  CHECK(grey(1, 0, 1) == normal(0));
  const at::Tensor floats = torch::tensor({0.2, 0.6, 1.0}).view({1, 3, 1, 1});
  CHECK(normalize(floats, options, torch::kCPU).item<double>() ==
        Approx((0.0598 + 0.3522 + 0.114 - 0.5) / 0.25).margin(1e-3));

  options = {};
  make_grey(options);
  CHECK(options.mean.size() == 1);
  CHECK(options.mean[0] == Approx(0.4590).margin(1e-4));
  CHECK(options.std[0] == Approx(0.2256).margin(1e-4));
  options.mean = {0.3};
  make_grey(options);
  CHECK(options.mean == std::vector<double>{0.3});
}

TEST_CASE("grey images are pretrained on, fine-tuned and embedded") {
  const TempFolder temp;
  const std::string run = temp.path() + "/mae", tuned = temp.path() + "/ft";
  REQUIRE(pretrain(kTinyMae + kGrey +
                   Words{"--data",
                         kScenes,
                         "--out",
                         run,
                         "--set",
                         "train.epochs=1",
                         "--set",
                         "output.preview_images=2"}) == 0);
  const LoadedModel model = load_model(run);
  CHECK(model.options.in_channels == 1);
  CHECK(model.normalize.mean.size() == 1);
  REQUIRE(finetune(Words{"--from", run, "--data", kScenes, "--out", tuned} +
                   Words{"--set",
                         "train.epochs=1",
                         "--set",
                         "train.batch=16",
                         "--set",
                         "schedule.warmup_epochs=0",
                         "--set",
                         "augment.rand_augment=",
                         "--set",
                         "data.workers=1"}) == 0);
  CHECK(load_model(tuned).options.in_channels == 1);
  REQUIRE(trained(temp.path() + "/new", kGrey) == temp.path() + "/new");
#ifdef PREVIT_WITH_IMAGE_IO
  CHECK(call(cli::embed_options(),
             cli::embed,
             {"--from",
              tuned,
              "--images",
              "synthetic:shapes,size=16,count=5,val=0",
              "--out",
              temp.path() + "/f.h5",
              "--device",
              "cpu"}) == 0);
#endif
}

TEST_CASE("other channels than images have are refused before anything is opened") {
  const auto refuse = [](const Words& words) {
    CHECK_THROWS_WITH(finetune(words + Words{"--set", "model.in_channels=4"}),
                      ContainsSubstring("model.in_channels: 4: images are read as RGB (3)"));
  };
  refuse(Words{"--from", "none", "--data", "/no/such/folder", "--out", "/no/such/run"} + kTiny);
}
