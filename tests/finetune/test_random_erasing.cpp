#include "error.h"
#include "finetune/random_erasing.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("random erasing takes out boxes of the asked area, in the asked share of images") {
  constexpr int64_t n = 400, side = 32;
  Random draws(2);
  at::Tensor images = torch::full({n, 3, side, side}, 7.0);
  CHECK(random_erasing(images, 0.25, draws, {.pixels = ErasedPixels::zero}).is_same(images));
  const at::Tensor erased = (images == 0).to(torch::kDouble).mean({1, 2, 3});
  const at::Tensor hit = erased.masked_select(erased > 0);
  CHECK(double(hit.numel()) / n == Approx(0.25).margin(0.06));
  CHECK(hit.min().item<double>() > 0.015);
  CHECK(hit.max().item<double>() < 0.36);
  CHECK(hit.mean().item<double>() == Approx(0.17).margin(0.03));

  // One box: the erased rows and columns are contiguous and full.
  for (int64_t i = 0; i < n; ++i) {
    const at::Tensor gone = images[i][0] == 0;
    const int64_t rows = gone.any(1).sum().item<int64_t>(),
                  columns = gone.any(0).sum().item<int64_t>();
    REQUIRE(gone.sum().item<int64_t>() == rows * columns);
  }
}

TEST_CASE("erased pixels are standard normal, each on its own, and repeatable") {
  Random draws(3), again(3);
  at::Tensor images = torch::full({64, 3, 48, 48}, 100.0), same = images.clone();
  random_erasing(images, 1, draws);
  random_erasing(same, 1, again);
  CHECK(images.equal(same));
  const at::Tensor noise = images.masked_select(images != 100);
  CHECK(noise.mean().item<double>() == Approx(0).margin(0.02));
  CHECK(noise.std().item<double>() == Approx(1).margin(0.02));
  CHECK_FALSE(images.select(1, 0).equal(images.select(1, 1)));
}

TEST_CASE("random erasing with probability 0 does nothing") {
  Random draws(1);
  at::Tensor images = torch::ones({2, 3, 8, 8});
  CHECK(random_erasing(images, 0, draws).equal(torch::ones({2, 3, 8, 8})));
}
