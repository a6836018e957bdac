#include <filesystem>

#include "augment/open_dataset.h"
#include "commands/training_data.h"
#include "error.h"
#include "support/catch.h"
#include "support/noise_png.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"
#include "support/same_checkpoint.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

const Words kOnDevice = {"--set", "data.device_augment=true"};

// The quickstart's DINO as a ViT of one block with the smallest heads.
Words tiny_dino(const std::string& data, const std::string& out) {
  return Words{"--recipe",
               std::string(PREVIT_SOURCE_DIR) + "/recipes/quickstart/dino.yaml",
               "--device",
               device_option(),
               "--data",
               data,
               "--out",
               out} +
         settings({"model.image_size=[16]",
                   "model.patch_size=4",
                   "model.embed_dim=24",
                   "model.depth=1",
                   "dino.head.out_dim=16",
                   "dino.head.hidden_dim=16",
                   "dino.head.bottleneck_dim=8",
                   "augment.local.height=8",
                   "augment.local.width=8",
                   "train.epochs=1",
                   "schedule.warmup_epochs=0",
                   "data.workers=1",
                   "knn.epochs=0"});
}

}  // namespace

TEST_CASE("device augmentation trains, and resumes exactly") {
  const TempFolder temp;
  const Words words =
      tiny_mae_on_device() + kOnDevice +
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
  run.data.device_augment = DeviceAugment::all;
  const auto device = cli::training_source(run, images, {view}, at::kCPU);
  REQUIRE(device->batches_per_epoch() == host->batches_per_epoch());
  const Batch a = host->next(), b = device->next();
  CHECK(torch::equal(a.indices, b.indices));
  CHECK(b.views.at(0).scalar_type() == torch::kFloat32);
  CHECK(torch::allclose(a.views.at(0).to(torch::kFloat32) / 255, b.views.at(0), 0, 1e-6));
}

TEST_CASE("crops of several sizes are made on the device, or their colours alone") {
  const std::string what = GENERATE("true", "colors");
  const TempFolder temp;
  const std::string out = temp.path() + "/dino";
  const Words words =
      tiny_dino(kScenes, out) + settings({"data.device_augment=" + what, "train.batch=32"});
  CHECK(pretrain(words) == 0);
  CHECK(list_checkpoints(out).size() == 1);
}

TEST_CASE("views whose colours the device changes are cut as all of the host's are") {
  RunOptions run;
  run.data.path = "synthetic:shapes,size=40,count=16";
  run.data.workers = 1;
  run.train.batch = 8;
  std::vector<ViewSpec> views = {
      {.name = "a", .count = 2, .height = 16, .width = 20},
      {.name = "b", .height = 8, .width = 8, .interpolation = Interpolation::bilinear, .flip = 0.3},
      {.name = "c", .height = 24, .width = 24, .same_crop_as = "a"}};
  const auto images = open_dataset(run.data.path);
  const auto next = [&] { return cli::training_source(run, images, views, at::kCPU)->next(); };
  const Batch host = next();
  run.data.device_augment = DeviceAugment::colors;
  const Batch plain = next();
  // Nothing more is drawn on the host where operations are on.
  views[0].jitter = views[1].blur = views[1].greyscale = 1;
  const Batch changed = next();
  REQUIRE(plain.views.size() == 4);
  for (size_t v = 0; v < 4; ++v) {
    INFO(v);
    const at::Tensor same = host.views[v].to(torch::kFloat32) / 255;
    CHECK(torch::allclose(plain.views[v], same, 0, 1e-6));
    // The view that repeats the crops of the first has no operation of its own.
    CHECK(torch::allclose(changed.views[v], same, 0, 1e-2) == (v == 3));
  }
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

TEST_CASE("what compares images is refused before the first step where a batch has but one") {
  const TempFolder temp;
  const std::string out = temp.path() + "/run";
  const Words dino =
      tiny_dino("synthetic:shapes,size=16,count=9", out) + settings({"train.batch=4",
                                                                     "train.drop_last=false",
                                                                     "dino.centering=center",
                                                                     "output.preview_images=0"});
  const auto refused = [&] { pretrain(dino + settings({"dino.koleo_weight=0.1"})); };
  CHECK_THROWS_AS(refused(), UsageError);
  CHECK_THROWS_WITH(
      refused(),
      ContainsSubstring("--set dino.koleo_weight=0.1: dino.koleo_weight: needs 2 images") &&
          ContainsSubstring("the smallest batch of an epoch has 1"));
  CHECK_FALSE(std::filesystem::exists(out + "/metrics.jsonl"));
  CHECK(pretrain(dino) == 0);
}

TEST_CASE("a micro-batch that doesn't divide the batch is told", "[programs]") {
  const TempFolder temp;
  const auto told = [&](const std::string& name, const std::string& micro) {
    const Outcome outcome = run_program(
        program("pretrain"),
        kTinyMae + Words{"--data", kScenes, "--out", temp.path() + "/" + name} +
            settings({"train.epochs=1", "train.batch=12", "train.micro_batch=" + micro}));
    CHECK(outcome.code == 0);
    return outcome.errors;
  };
  CHECK_THAT(told("a", "8"),
             ContainsSubstring("train.micro_batch: 8 does not divide train.batch 12; 6 is used"));
  CHECK_THAT(told("b", "4"), !ContainsSubstring("micro_batch"));
  CHECK_THAT(told("c", "24"), !ContainsSubstring("micro_batch"));
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
  for (int i = 0; i < 16; ++i) {
    write_noise_png(fmt::format("{}/{:02}.png", photos, i), 20 + i % 2, 24);
  }
  const Words words =
      kTinyMae + kOnDevice +
      Words{"--data", photos, "--out", temp.path() + "/run", "--set", "train.epochs=1"};
  CHECK_THROWS_MATCHES(
      pretrain(words),
      UsageError,
      Catch::Message(fmt::format("{}:8: data.canvas: images of {} are 20 x 24 and 21 x 24; give a "
                                 "side for all of them",
                                 kTinyMae[1],
                                 photos)));
  CHECK(pretrain(words + Words{"--set", "data.canvas=24"}) == 0);
}

TEST_CASE("a run inside its own data is no data, and resumes on the same images") {
  const TempFolder temp;
  const std::string photos = temp.path() + "/photos", out = photos + "/runs/mae";
  for (int i = 0; i < 16; ++i) write_noise_png(fmt::format("{}/{:02}.png", photos, i), 20, 24);
  const auto until = [&](const std::string& epochs) {
    return kTinyMae + Words{"--data", photos, "--out", out} +
           settings(
               {"output.preview_images=2", "output.preview_epochs=1", "train.epochs=" + epochs});
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
