#include "epoch_plan.h"
#include "error.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("an epoch without its incomplete step has whole batches only") {
  const EpochPlan epoch{.samples = 26, .step = 8, .batch = 4};
  CHECK(epoch.steps() == 3);
  CHECK(epoch.images() == 24);
  CHECK(epoch.batches() == 6);
  CHECK(epoch.images_in_step(2) == 8);
  CHECK(epoch.images_in_batch(5) == 4);
  CHECK(epoch.first_batch_of(2) == 4);
}

TEST_CASE("the last step and batch of an epoch have what is left") {
  const EpochPlan epoch{.samples = 26, .step = 8, .batch = 4, .drop_last = false};
  CHECK(epoch.steps() == 4);
  CHECK(epoch.images() == 26);
  CHECK(epoch.batches() == 7);
  CHECK(epoch.images_in_step(3) == 2);
  CHECK(epoch.images_in_batch(6) == 2);
  CHECK_NOTHROW(require_a_step({.samples = 1, .step = 8, .batch = 8, .drop_last = false}));
  CHECK_THROWS_AS(require_a_step({.samples = 7, .step = 8, .batch = 8}), UsageError);
}
