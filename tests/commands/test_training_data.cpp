#include <filesystem>
#include <fstream>

#include "augment/encode_png.h"
#include "augment/open_dataset.h"
#include "commands/training_data.h"
#include "error.h"
#include "support/catch.h"
#include "support/pretrain_command.h"
#include "support/same_checkpoint.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

const Words kOnDevice = {"--set", "data.device_augment=true"};

#ifdef PREVIT_WITH_IMAGE_IO
void write_picture(const std::string& path, int64_t height, int64_t width) {
  std::ofstream(path, std::ios::binary)
      << encode_png(torch::randint(256, {height, width, 3}, torch::kUInt8));
}
#endif

}  // namespace

TEST_CASE("device augmentation trains, and resumes exactly") {
  const TempFolder temp;
  const Words words =
      kTinyMae + kOnDevice +
      Words{"--data", kScenes, "--set", "train.epochs=3", "--set", "output.keep_last=3"};
  const std::string whole = temp.path() + "/whole", cut = temp.path() + "/cut";
  REQUIRE(pretrain(words + Words{"--out", whole}) == 0);
  std::filesystem::copy(whole, cut, std::filesystem::copy_options::recursive);
  for (int i = 0; i < 2; ++i) std::filesystem::remove_all(list_checkpoints(cut).front());
  REQUIRE(list_checkpoints(cut).size() == 1);
  REQUIRE(pretrain(words + Words{"--out", cut, "--resume"}) == 0);
  CHECK(same_checkpoint(newest_checkpoint(whole), newest_checkpoint(cut)));
}

TEST_CASE("images that nothing is done to are the same from the host and from the device") {
  RunOptions run;
  run.data.path = kScenes;
  run.data.workers = 1;
  run.train.batch = 8;
  const ViewSpec view{.height = 16, .width = 16, .crop = CropKind::none, .flip = 0};
  const auto images = open_dataset(kScenes);
  const auto host = cli::training_source(run, images, {view}, at::kCPU);
  run.data.device_augment = true;
  const auto device = cli::training_source(run, images, {view}, at::kCPU);
  REQUIRE(device->batches_per_epoch() == host->batches_per_epoch());
  const Batch a = host->next(), b = device->next();
  CHECK(torch::equal(a.indices, b.indices));
  CHECK(b.views.at(0).scalar_type() == torch::kFloat32);
  CHECK(torch::allclose(a.views.at(0).to(torch::kFloat32) / 255, b.views.at(0), 0, 1e-6));
}

TEST_CASE("crops of several sizes are made on the device") {
  const TempFolder temp;
  Words words = {"--recipe", std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/dino.yaml"};
  for (const char* change : {"model.image_size=[16]",
                             "model.patch_size=4",
                             "model.embed_dim=24",
                             "model.depth=1",
                             "dino.head.out_dim=16",
                             "dino.head.hidden_dim=16",
                             "dino.head.bottleneck_dim=8",
                             "augment.local.height=8",
                             "augment.local.width=8",
                             "train.batch=32",
                             "train.epochs=1",
                             "schedule.warmup_epochs=0",
                             "data.workers=1",
                             "knn.epochs=0",
                             "data.device_augment=true"}) {
    words = words + Words{"--set", change};
  }
  CHECK(pretrain(words + Words{"--data", kScenes, "--out", temp.path() + "/dino"}) == 0);
  CHECK(list_checkpoints(temp.path() + "/dino").size() == 1);
}

TEST_CASE("less data than a batch is told by the recipe's key") {
  const TempFolder temp;
  const Words words = kTinyMae + Words{"--data", kScenes, "--out", temp.path() + "/a"};
  CHECK_THROWS_MATCHES(
      pretrain(words + Words{"--set", "train.batch=200"}),
      UsageError,
      Catch::Message("--set train.batch=200: train.batch: 200 is more than the 128 images of the "
                     "data; make it smaller or set train.drop_last=false"));
}

TEST_CASE("what the device can't do is a usage error at the key") {
  const TempFolder temp;
  const Words words = kTinyMae + kOnDevice + Words{"--data", kScenes, "--out", temp.path() + "/a"};
  CHECK_THROWS_MATCHES(pretrain(words + Words{"--set", "augment.rand_augment=rand-m9"}),
                       UsageError,
                       Catch::Message("--set data.device_augment=true: data.device_augment: "
                                      "rand_augment works on the host only (view view)"));
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("images of several sizes need a canvas for the device") {
  const TempFolder temp;
  const std::string photos = temp.path() + "/photos";
  std::filesystem::create_directories(photos);
  for (int i = 0; i < 16; ++i) {
    write_picture(fmt::format("{}/{:02}.png", photos, i), 20 + i % 2, 24);
  }
  const Words words =
      kTinyMae + kOnDevice +
      Words{"--data", photos, "--out", temp.path() + "/run", "--set", "train.epochs=1"};
  CHECK_THROWS_MATCHES(
      pretrain(words),
      UsageError,
      Catch::Message(fmt::format("{}:6: data.canvas: images of {} are 20 x 24 and 21 x 24; give a "
                                 "side for all of them",
                                 kTinyMae[1],
                                 photos)));
  CHECK(pretrain(words + Words{"--set", "data.canvas=24"}) == 0);
}

TEST_CASE("a run inside its own data is no data, and resumes on the same images") {
  const TempFolder temp;
  const std::string photos = temp.path() + "/photos", out = photos + "/runs/mae";
  std::filesystem::create_directories(photos);
  for (int i = 0; i < 16; ++i) write_picture(fmt::format("{}/{:02}.png", photos, i), 20, 24);
  const Words words = kTinyMae + Words{"--data",
                                       photos,
                                       "--out",
                                       out,
                                       "--set",
                                       "output.preview_images=2",
                                       "--set",
                                       "output.preview_epochs=1",
                                       "--set",
                                       "train.epochs="};
  const auto until = [&](const std::string& epochs) {
    Words all = words;
    all.back() += epochs;
    return all;
  };
  REQUIRE(pretrain(until("1")) == 0);
  REQUIRE(!std::filesystem::is_empty(out + "/previews"));
  REQUIRE(pretrain(until("2") + Words{"--resume"}) == 0);
  RunOptions run;
  run.train.batch = 16;
  const ViewSpec view{.height = 16, .width = 16};
  CHECK(cli::training_source(run, open_dataset(photos), {view}, at::kCPU)->batches_per_epoch() ==
        1);
}
#endif
