#include "pretrain/masks/block_masking.h"
#include "pretrain/masks/patch_mask.h"
#include "pretrain/masks/share_masking.h"
#include "support/catch.h"

using namespace previt;

namespace {

Batch images(std::vector<int64_t> indices, int64_t epoch = 0) {
  Batch batch;
  batch.indices = torch::tensor(indices);
  batch.epoch = epoch;
  return batch;
}

at::Tensor masks_of(const Batch& batch, int64_t seed = 3) {
  return block_masks(batch, 14, 14, 75, {}, seed);
}

}  // namespace

TEST_CASE("block masks: an image's mask depends on seed, epoch and index alone") {
  const at::Tensor whole = masks_of(images({5, 9, 2}));
  CHECK(whole.sizes().vec() == std::vector<int64_t>{3, 196});
  CHECK(torch::equal(masks_of(images({2})), whole.slice(0, 2)));
  CHECK(torch::equal(masks_of(images({9, 5})), whole.index_select(0, torch::tensor({1, 0}))));
  CHECK(!torch::equal(masks_of(images({5})), masks_of(images({9}))));
  CHECK(!torch::equal(masks_of(images({5}, 1)), masks_of(images({5}))));
  CHECK(!torch::equal(masks_of(images({5}), 4), masks_of(images({5}))));
}

TEST_CASE("block masks: never more than the target, mostly all of it, anywhere in the grid") {
  std::vector<int64_t> indices(400);
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
  const at::Tensor masks = masks_of(images(indices));
  const at::Tensor counts = masks.sum(1);
  CHECK(counts.max().item<int64_t>() == 75);
  CHECK(counts.min().item<int64_t>() >= 75 - 16);
  CHECK((counts < 75).any().item<bool>());  // ragged
  // A simulation of the sampler gives 0.380 of all patches (0.383 at most), and 75 in 2 of 3 masks.
  CHECK(masks.to(torch::kFloat32).mean().item<double>() == Approx(0.380).margin(0.0015));
  CHECK((counts == 75).to(torch::kFloat32).mean().item<double>() == Approx(0.667).margin(0.08));
  // The middle of the grid is in more of the possible blocks than its corners: 0.72 and 0.04.
  const at::Tensor where = masks.to(torch::kFloat32).mean(0).view({14, 14});
  CHECK(where[7][7].item<double>() == Approx(0.716).margin(0.08));
  CHECK(where[0][0].item<double>() == Approx(0.0395).margin(0.03));
}

TEST_CASE("block masks: as high as wide on average") {
  Random random(1);
  double rows = 0, columns = 0;
  for (int i = 0; i < 300; ++i) {
    const at::Tensor mask = block_mask(8, 8, 6, {.min_patches = 6, .max_patches = 6}, random);
    const at::Tensor where = mask.nonzero();
    REQUIRE(where.size(0) > 0);
    const at::Tensor extent = where.amax(0) - where.amin(0) + 1;
    rows += extent[0].item<double>();
    columns += extent[1].item<double>();
  }
  CHECK(rows / columns == Approx(1).margin(0.15));
}

TEST_CASE("block masks: no block that fits means no mask") {
  Random random(2);
  const at::Tensor mask = block_mask(4, 4, 6, {.min_patches = 64, .max_patches = 64}, random);
  CHECK(!mask.any().item<bool>());
}

TEST_CASE("block masks: of the images of a batch, each has one if a block fits") {
  std::vector<int64_t> indices(400);
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
  // Three of four blocks are too long for the grid, and for one image in twenty ten in a row are.
  const at::Tensor masks = block_masks(images(indices), 4, 4, 9, {.min_patches = 9}, 3);
  CHECK(masks.any(1).all().item<bool>());
  CHECK(!block_masks(images({1}), 4, 4, 64, {.min_patches = 64}, 3).any().item<bool>());
}

TEST_CASE("share masks: half of the pictures, by a tenth to a half") {
  const ShareMaskOptions options{.ratio = {0, 0.3}, .spread = {0, 0.2}};
  Random random(4);
  int64_t unmasked = 0;
  double masked_share = 0;
  for (int i = 0; i < 400; ++i) {
    const double share =
        share_mask(14, 14, options, random).to(torch::kFloat32).mean().item<double>();
    CHECK(share <= 0.5);
    unmasked += share == 0 ? 1 : 0;
    masked_share += share;
  }
  CHECK(unmasked == Approx(200).margin(40));
  CHECK(masked_share / static_cast<double>(400 - unmasked) == Approx(0.293).margin(0.03));
}

TEST_CASE("share masks: random ones hide the whole patches of their share") {
  Random random(5);
  const ShareMaskOptions options{.shape = MaskShape::random, .ratio = {0.3}, .spread = {0}};
  CHECK(share_mask(14, 14, options, random).sum().item<int64_t>() == 58);  // of 58.8
}

TEST_CASE("a patch mask counts patches through the batch") {
  const PatchMask mask(torch::tensor({{0, 1, 1}, {0, 0, 0}, {1, 0, 0}}).to(torch::kBool),
                       torch::kCPU);
  CHECK(mask.count() == 3);
  CHECK(torch::equal(mask.patches, torch::tensor({1, 2, 6})));
  CHECK(torch::equal(mask.token_rows(0), mask.patches));
  CHECK(torch::equal(mask.token_rows(2), torch::tensor({3, 4, 12})));  // 5 tokens an image
  CHECK(torch::allclose(mask.weights(), torch::tensor({1.f / 6, 1.f / 6, 1.f / 3})));
  const at::Tensor values = torch::arange(18).view({3, 3, 2});
  CHECK(torch::equal(mask.select(values), torch::tensor({{2, 3}, {4, 5}, {12, 13}})));
}
