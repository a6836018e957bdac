#include "pretrain/objectives/dvae.h"
#include "support/catch.h"
#include "support/tiny_run.h"

using namespace previt;

TEST_CASE("dvae: temperature and KL weight follow half cosines") {
  RunOptions run = test::tiny_options();
  run.model.image_size = {16};
  run.model.patch_size = 4;
  DvaeOptions options;
  options.dvae.network = {.width = 16, .blocks = 1};
  options.dvae.vocabulary = 12;
  const DvaeTraining dvae(options, run);
  const auto at_epoch = [](int64_t epoch) {
    return StepInfo{.step = 10 * epoch, .total_steps = 1000, .steps_per_epoch = 10, .epochs = 100};
  };
  CHECK(dvae.temperature(at_epoch(0)) == 1);
  CHECK(dvae.temperature(at_epoch(30)) == Approx((1 + 1.0 / 16) / 2));
  CHECK(dvae.temperature(at_epoch(15)) == Approx(1.0 / 16 + 15.0 / 16 * (1 + std::sqrt(0.5)) / 2));
  CHECK(dvae.temperature(at_epoch(60)) == 1.0 / 16);
  CHECK(dvae.temperature(at_epoch(99)) == 1.0 / 16);
  // Per cell of 4 x 4 pixels of 3 values: DALL-E's 6.6 / 192 at 8 x 8.
  CHECK(dvae.kl_weight(at_epoch(0)) == 0);
  CHECK(dvae.kl_weight(at_epoch(1)) == Approx(3.3 / 48));
  CHECK(dvae.kl_weight(at_epoch(2)) == Approx(6.6 / 48));
}
