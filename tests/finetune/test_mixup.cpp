#include "finetune/losses.h"
#include "finetune/mixup.h"
#include "support/catch.h"

using namespace previt;

namespace {

// Images whose pixels are all their index, so that a mixture shows its parts.
at::Tensor numbered_images(int64_t batch, int64_t size) {
  return torch::arange(batch, torch::kFloat32)
      .view({batch, 1, 1, 1})
      .expand({batch, 3, size, size});
}

struct Tally {
  int64_t untouched = 0, blended = 0, cut = 0;
};

Tally tally(const MixOptions& options, int64_t draws) {
  Random random(7);
  Tally counts;
  for (int64_t i = 0; i < draws; ++i) {
    const Mix mix = draw_mixes(options, 8, 16, 16, random).front();
    ++(mix.box ? counts.cut : mix.lambda == 1 ? counts.untouched : counts.blended);
  }
  return counts;
}

}  // namespace

TEST_CASE("mixup blends each image with its partner from the other end of the batch") {
  const at::Tensor mixed = mix_images(numbered_images(4, 2), {Mix{.lambda = 0.75, .box = {}}});
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(mixed[i][2][1][0].item<float>() == Approx(0.75 * i + 0.25 * (3 - i)));
  }
}

TEST_CASE("cutmix pastes the box and keeps the share of pixels that is left") {
  const Mix cut = Mix::cut({.top = 1, .bottom = 3, .left = 0, .right = 4}, 4, 4);
  CHECK(cut.lambda == 0.5);
  const at::Tensor images = numbered_images(2, 4);
  const at::Tensor mixed = mix_images(images, {cut});
  CHECK(mixed[0][0][0][0].item<float>() == 0);
  CHECK(mixed[0][0][1][0].item<float>() == 1);
  CHECK(mixed[0].sum().item<float>() == 3 * 8);
  CHECK(images[0].sum().item<float>() == 0);  // the batch itself is left alone
}

TEST_CASE("mixing in image mode draws each image its own, from unmixed partners") {
  const std::vector<Mix> mixes{Mix{.lambda = 0.5, .box = {}}, Mix{}, Mix{}};
  const at::Tensor mixed = mix_images(numbered_images(3, 2), mixes);
  CHECK(mixed[0][0][0][0].item<float>() == 1);
  CHECK(mixed[1][0][0][0].item<float>() == 1);  // the middle of an odd batch is its own partner
  CHECK(mixed[2][0][0][0].item<float>() == 2);
  const at::Tensor targets = mix_targets(torch::eye(3), mixes);
  CHECK(torch::equal(targets[0], torch::tensor({0.5F, 0.0F, 0.5F})));
  CHECK(torch::equal(targets[2], torch::tensor({0.0F, 0.0F, 1.0F})));

  Random random(1);
  CHECK(draw_mixes({.mix_mode = MixMode::image}, 5, 8, 8, random).size() == 5);
  CHECK(draw_mixes({.mix_mode = MixMode::batch}, 5, 8, 8, random).size() == 1);
}

TEST_CASE("mixing follows its probabilities") {
  const Tally both = tally({.mix_prob = 0.8, .switch_prob = 0.25}, 4000);
  CHECK(both.untouched == Approx(800).margin(90));
  CHECK(both.cut == Approx(800).margin(90));
  CHECK(both.blended == Approx(2400).margin(120));
  CHECK(tally({.mixup = 0}, 50).cut == 50);
  CHECK(tally({.cutmix = 0}, 50).blended == 50);
  CHECK(tally({.mixup = 0, .cutmix = 0}, 50).untouched == 50);
}

TEST_CASE("smoothed targets sum to one and losses take bfloat16 logits in float32") {
  const at::Tensor labels = torch::tensor({2, 0}, torch::kInt64);
  const at::Tensor targets = smoothed_targets(labels, 4, 0.1);
  CHECK(targets[0][2].item<float>() == Approx(0.925));
  CHECK(targets[0][1].item<float>() == Approx(0.025));
  const at::Tensor logits = torch::randn({2, 4}).to(torch::kBFloat16);
  const at::Tensor loss = soft_target_cross_entropy(logits, targets);
  CHECK(loss.scalar_type() == torch::kFloat32);
  CHECK(loss.item<float>() ==
        Approx(label_smoothing_cross_entropy(logits, labels, 0.1).item<float>()).epsilon(1e-5));
}
