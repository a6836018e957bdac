#include "pretrain/losses/masked_pixels.h"
#include "support/catch.h"

using namespace previt;

namespace {

// Two channels, 2 x 4 pixels: value = 100·channel + 10·row + column.
at::Tensor numbered_image() {
  const at::Tensor rows = torch::arange(2, torch::kFloat32).view({2, 1}) * 10;
  const at::Tensor pixels = rows + torch::arange(4, torch::kFloat32);
  return torch::stack({pixels, pixels + 100}).unsqueeze(0);
}

}  // namespace

TEST_CASE("patchify orders pixels as asked, and unpatchify undoes it") {
  const at::Tensor image = numbered_image();
  const at::Tensor last = patchify(image, 2, PixelOrder::channel_last);
  CHECK(last[0][1].equal(torch::tensor({2.f, 102.f, 3.f, 103.f, 12.f, 112.f, 13.f, 113.f})));
  const at::Tensor first = patchify(image, 2, PixelOrder::channel_first);
  CHECK(first[0][1].equal(torch::tensor({2.f, 3.f, 12.f, 13.f, 102.f, 103.f, 112.f, 113.f})));
  CHECK(unpatchify(last, 1, 2, 2, PixelOrder::channel_last).equal(image));
  CHECK(unpatchify(first, 1, 2, 2, PixelOrder::channel_first).equal(image));
}

TEST_CASE("normalised patches use the unbiased variance") {
  const at::Tensor patch = torch::tensor({{{1.f, 2.f, 3.f, 6.f}}});  // mean 3, variance 14 / 3
  const at::Tensor want = (patch - 3) / std::sqrt(14.0 / 3 + 1e-6);
  CHECK(normalize_patches(patch).allclose(want, 1e-6, 1e-6));
  CHECK(normalize_patches(torch::full({1, 1, 4}, 0.5f)).abs().max().item<float>() == 0);
}

TEST_CASE("the loss is computed in float32 whatever the prediction's type") {
  const at::Tensor target = torch::full({1, 2, 4}, 1.001f);  // 1 in bfloat16
  const at::Tensor loss = pixel_loss(torch::ones({1, 2, 4}, torch::kBFloat16), target);
  CHECK(loss.scalar_type() == torch::kFloat32);
  CHECK(loss.item<double>() == Approx(1e-6).epsilon(1e-3));
}
