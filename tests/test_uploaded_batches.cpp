#include <torch/types.h>

#include "error.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "uploaded_batches.h"

using namespace previt;
using namespace previt::test;

namespace {

// Batch i of an epoch of ten is [i, i]; unreadable samples and a failure can be put in.
class Numbers final : public BatchSource {
 public:
  EpochPlan epoch_plan() const override { return {.samples = 20, .step = 2, .batch = 2}; }
  void seek(int64_t, int64_t batch) override { at = batch; }
  Batch next() override {
    if (at == fails_at) fail("batch {}", at++);
    Batch batch;
    batch.views = {torch::full({2, 3, 2, 2}, at, torch::kUInt8)};
    batch.labels = torch::full({2}, at, torch::kInt64);
    batch.indices = batch.labels.clone();
    ++at;
    return batch;
  }
  int64_t bad_samples() const override { return 10 * at; }

  int64_t at = 0, fails_at = -1;
};

}  // namespace

TEST_CASE("two batches are on their way to the device while one is used") {
  Numbers source;
  UploadedBatches batches(source, counted_device());
  for (int64_t i = 0; i < 4; ++i) {
    const HostTraffic traffic;
    const Batch batch = batches.next();
    CHECK(source.at == i + 3);
    CHECK(batches.bad_samples() == 10 * (i + 1));  // not of those ahead
    const int64_t uploads = i == 0 ? 6 : 2;
    CHECK(traffic.counts() == std::map<std::string, int64_t>{{"upload", uploads}});
    CHECK(batch.views.front().device() == counted_device());
    CHECK(batch.labels.device() == counted_device());
    CHECK(batch.indices.is_cpu());
    CHECK(batch.views.front().cpu().eq(i).all().item<bool>());
    CHECK(batch.labels.cpu().eq(i).all().item<bool>());
  }
  batches.seek(0, 7);  // what was ahead is of another place
  CHECK(batches.next().indices[0].item<int64_t>() == 7);
}

TEST_CASE("what is drawn for a batch goes to the device with it") {
  Numbers source;
  const auto draw = [](const Batch& batch) {
    if (batch.indices[0].item<int64_t>() == 2) fail("a mask");
    return std::vector<at::Tensor>{batch.indices * 7, torch::ones({5})};
  };
  UploadedBatches batches(source, counted_device(), draw);
  for (int64_t i = 0; i < 2; ++i) {
    const Batch batch = batches.next();
    REQUIRE(batch.drawn.size() == 2);
    for (const at::Tensor& one : batch.drawn) CHECK(one.device() == counted_device());
    CHECK(batch.drawn[0].cpu().eq(7 * i).all().item<bool>());
    CHECK(first_images(batch, 1).drawn.empty());
  }
  CHECK_THROWS_WITH(batches.next(), "a mask");
}

TEST_CASE("on the CPU no batch is ahead, and none is copied") {
  Numbers source;
  UploadedBatches batches(
      source, at::kCPU, [](const Batch& batch) { return std::vector{batch.indices}; });
  const Batch batch = batches.next();
  CHECK(batch.drawn.empty());  // a step draws it itself
  CHECK(source.at == 1);
  CHECK(batch.views.front().is_cpu());
  CHECK(batches.epoch_plan().samples == 20);
}

TEST_CASE("a source's failure comes with the batch that it is about") {
  Numbers source;
  source.fails_at = 2;
  UploadedBatches batches(source, counted_device());
  CHECK(batches.next().indices[0].item<int64_t>() == 0);
  CHECK(batches.next().indices[0].item<int64_t>() == 1);
  CHECK_THROWS_WITH(batches.next(), "batch 2");
  CHECK(batches.next().indices[0].item<int64_t>() == 3);
}
