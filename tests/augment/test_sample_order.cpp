#include <set>

#include "augment/sample_order.h"
#include "random.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("an epoch is one permutation of the images, by seed and epoch") {
  const SampleOrder order{.images = 300, .seed = 4};
  Random random(4, Stream::sample_order, {7});
  CHECK(order.size() == 300);
  CHECK(order.of_epoch(7) == random_permutation(300, random));
  CHECK(order.of_epoch(7) != order.of_epoch(8));
  CHECK(order.of_epoch(7) != SampleOrder{.images = 300, .seed = 5}.of_epoch(7));
}

TEST_CASE("repeated augmentation takes each image of the plain order three times in a row") {
  const SampleOrder plain{.images = 1000, .seed = 4};
  SampleOrder repeated = plain;
  repeated.copies = 3;
  for (const int64_t epoch : {0, 5}) {
    const auto images = plain.of_epoch(epoch), samples = repeated.of_epoch(epoch);
    REQUIRE(samples.size() == 768);
    for (size_t i = 0; i < samples.size(); ++i) {
      REQUIRE(samples[i] % 1000 == images[i / 3]);
      REQUIRE(samples[i] / 1000 == static_cast<int64_t>(i % 3));  // each copy is cut differently
    }
  }
  repeated.shuffle = false;
  const auto samples = repeated.of_epoch(0);
  CHECK(std::vector(samples.begin(), samples.begin() + 5) ==
        std::vector<int64_t>{0, 1000, 2000, 1, 1001});
}

TEST_CASE("an epoch of repeated augmentation is as long as the official sampler's") {
  const auto size = [](int64_t images, int64_t copies) {
    return SampleOrder{.images = images, .copies = copies}.size();
  };
  CHECK(size(1'281'167, 3) == 1'281'024);
  CHECK(size(50'000, 3) == 49'920);
  CHECK(size(256, 3) == 256);
  CHECK(size(10, 3) == 10);  // fewer than the rounding
  CHECK(size(1'281'167, 1) == 1'281'167);
  const auto few = SampleOrder{.images = 10, .copies = 3}.of_epoch(0);
  CHECK(std::set<int64_t>(few.begin(), few.end()).size() == 10);
  CHECK(few[9] < 10);  // the fourth image, once
}
