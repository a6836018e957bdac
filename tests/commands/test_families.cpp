// The tools that look at a frozen backbone, on checkpoints that others wrote: whatever the family,
// its class token, registers, position kinds and pooling must end in features and maps.
#ifdef PREVIT_WITH_IMAGE_IO
#include <cmath>

#include "augment/io/tensor_file.h"
#include "cli/frames.h"
#include "commands/attention_maps.h"
#include "commands/embed.h"
#include "commands/knn_probe.h"
#include "commands/linear_probe.h"
#include "finetune/pictures/attention_maps.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

struct Family {
  std::string file;
  int64_t heads = 3;
  int64_t width = 24, depth = 2;
};

const std::vector<Family> kFamilies = {
    {.file = "hf_beit_a", .width = 36},
    {.file = "hf_dinov2_a", .width = 36},
    {.file = "hf_vit_a", .width = 36},
    {.file = "hf_vitmae_a", .width = 36},
    {.file = "timm_hub_a", .width = 36},
    {.file = "dino_checkpoint_a.pth"},
    {.file = "mae_checkpoint_a.pth"},
    {.file = "mae_pretrain_encoder_a.pth"},
    {.file = "deit_distilled_checkpoint_a.pth", .heads = 2, .depth = 1},
};

const std::string kData = "synthetic:shapes,size=32,count=120,val=30";

// Official .pth files don't say how many heads they have.
Words from(const Family& family) {
  return {"--from",
          std::string(PREVIT_SOURCE_DIR) + "/tests/fixtures/" + family.file,
          "--heads",
          std::to_string(family.heads)};
}

const std::string kScenes = "synthetic:shapes,size=32,count=2,val=0";

// Of the best head, mean over the two scenes: intersection over union of where the written maps
// look and where the objects are, with 48 pixels in patches of 8.
double jaccard_of_maps(const std::string& folder) {
  const TensorFileReader file(folder + "/attention.h5");
  const cli::FrameReader scenes(
      cli::in_natural_order(cli::open_pictures(kScenes, Split::all)), /*side=*/48, /*patch=*/8);
  const double share = result_in(folder)["threshold"];
  double sum = 0;
  for (int64_t i = 0; i < 2; ++i) {
    const at::Tensor masks = mass_mask(file.read("maps/00000" + std::to_string(i)), share)
                                 .repeat_interleave(8, 1)
                                 .repeat_interleave(8, 2);
    const at::Tensor object = scenes.mask(i).value();
    const at::Tensor both = (masks & object).sum({1, 2}), either = (masks | object).sum({1, 2});
    sum += (both.to(torch::kFloat64) / either).max().item<double>();
  }
  return sum / 2;
}

}  // namespace

TEST_CASE("attention_maps looks at every family, block by block and as rollout") {
  for (const Family& family : kFamilies) {
    INFO(family.file);
    const TempFolder temp;
    const Words words =
        from(family) + Words{"--images", kScenes, "--image-size", "48", "--out", temp.path()};
    REQUIRE(call(cli::attention_maps_options(), cli::attention_maps, words) == 0);
    CHECK(result_in(temp.path())["heads"] == family.heads);
    const double jaccard = result_in(temp.path())["jaccard"];
    CHECK(jaccard == Approx(jaccard_of_maps(temp.path())));
    const at::Tensor maps = TensorFileReader(temp.path() + "/attention.h5").read("maps/000000");
    CHECK(maps.sizes().vec() == std::vector<int64_t>{family.heads, 6, 6});
    CHECK(maps.min().item<double>() >= 0);
    CHECK(maps.sum({1, 2}).max().item<double>() <= 1 + 1e-5);  // a part of a softmax
    REQUIRE(call(cli::attention_maps_options(), cli::attention_maps, words + Words{"--rollout"}) ==
            0);
    CHECK(result_in(temp.path())["heads"] == 1);
  }
}

TEST_CASE("embed takes every kind of feature from every family") {
  for (const Family& family : kFamilies) {
    for (const char* kind : {"pooled", "cls", "mean", "cls+mean", "patches"}) {
      INFO(family.file << ", " << kind);
      const TempFolder temp;
      const std::string out = temp.path() + "/f.h5";
      REQUIRE(
          call(cli::embed_options(),
               cli::embed,
               from(family) +
                   Words{"--images", kData, "--split", "val", "--out", out, "--features", kind}) ==
          0);
      const at::Tensor features = TensorFileReader(out).read("features");
      const int64_t parts = std::string(kind) == "cls+mean" ? 2 : 1;
      CHECK(features.size(0) == 30);
      CHECK(features.size(-1) == parts * family.width);
      CHECK(features.isfinite().all().item<bool>());
      CHECK(features.std(0).max().item<double>() > 1e-4);  // images differ
    }
  }
}

TEST_CASE("knn_probe and linear_probe judge every family") {
  for (const Family& family : kFamilies) {
    INFO(family.file);
    const TempFolder temp;
    const Words words = from(family) + Words{"--data", kData, "--out", temp.path()};
    REQUIRE(call(cli::knn_probe_options(), cli::knn_probe, words) == 0);
    CHECK(result_in(temp.path())["test_images"] == 30);
    for (const char* protocol : {"dino", "mae", "beit"}) {
      INFO(protocol);
      REQUIRE(call(cli::linear_probe_options(),
                   cli::linear_probe,
                   words + Words{"--set",
                                 std::string("protocol=") + protocol,
                                 "--set",
                                 "epochs=1",
                                 "--set",
                                 "lrs=[0.01]"}) == 0);
      CHECK(result_in(temp.path())["images"] == 30);
      CHECK(std::isfinite(result_in(temp.path())["loss"].get<double>()));
    }
  }
}
#endif
