#include <vector>

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

TEST_CASE("the metrics lines of an epoch share its steps evenly") {
  const auto lines_of = [](int64_t steps_per_epoch, int64_t most) {
    std::vector<int64_t> lines;
    for (int64_t step = 1; step <= 2 * steps_per_epoch; ++step) {
      if (line_due(step, steps_per_epoch, most)) lines.push_back(step);
    }
    return lines;
  };
  CHECK(lines_of(54, 50) == std::vector<int64_t>{27, 54, 81, 108});
  CHECK(lines_of(50, 50) == std::vector<int64_t>{50, 100});
  CHECK(lines_of(7, 3) == std::vector<int64_t>{3, 5, 7, 10, 12, 14});
  CHECK(lines_of(2, 1) == std::vector<int64_t>{1, 2, 3, 4});
  CHECK(lines_of(1, 50) == std::vector<int64_t>{1, 2});
}
