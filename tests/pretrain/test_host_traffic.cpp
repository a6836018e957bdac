// What passes between the host and the device in a step, held to a list: whatever waits there costs
// a GPU the time in which it could have gone on.
#include <nlohmann/json.hpp>
#include <sstream>

#include "files.h"
#include "pretrain/pretrain_run.h"
#include "pretrain/train/stepper.h"
#include "pretrain/train/trainer.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "support/small_objective.h"
#include "support/temp_folder.h"
#include "upload.h"

using namespace previt;
using namespace previt::test;

namespace {

// "upload 4, read 1"
std::string in_words(const HostTraffic& traffic) {
  std::string words;
  for (const auto& [name, count] : traffic.counts()) {
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", name, count);
  }
  return words;
}

// Losses of a few steps, and what passed in the last: codebooks and constants are there by then.
// What a step needs of the host is there ahead on a device, and drawn by the step on the CPU.
struct Steps {
  std::vector<double> losses;
  std::string traffic;
};

Steps run_on(at::Device device, const PretrainRun& run) {
  torch::manual_seed(7);
  const auto objective = run.build();
  objective->to(device);
  objective->train();
  Batch batch = to_device(
      random_batch(*objective, run.options), objective->views(), run.options.normalize, device);
  if (!device.is_cpu()) batch.drawn = objective->draw(batch);
  for (at::Tensor& one : batch.drawn) one = upload(one, device);
  Steps steps;
  // The first step of an epoch is followed by a line of metrics, for which DINO reads features.
  for (int64_t step = 101; step < 104; ++step) {
    const StepInfo info{.step = step, .total_steps = 400, .steps_per_epoch = 100, .epochs = 4};
    torch::manual_seed(static_cast<uint64_t>(step));
    const HostTraffic traffic;
    const at::Tensor loss = objective->step(batch, info).loss;
    loss.backward();
    objective->after_optimizer_step(info);
    steps.traffic = in_words(traffic);
    steps.losses.push_back(loss.item<double>());
  }
  return steps;
}

// The same random crops again and again, as other images each time.
class CropSource final : public BatchSource {
 public:
  static constexpr int64_t kBatches = 4;

  CropSource(const Objective& objective, const RunOptions& options)
      : batch_(random_batch(objective, options)), images_(options.train.batch) {}
  EpochPlan epoch_plan() const override {
    return {.samples = kBatches * images_, .step = images_, .batch = images_};
  }
  void seek(int64_t epoch, int64_t batch) override { at_ = epoch * kBatches + batch; }
  Batch next() override {
    Batch batch = batch_;
    batch.epoch = at_ / kBatches;
    batch.indices = batch_.indices + at_++ % kBatches * images_;
    return batch;
  }

 private:
  Batch batch_;
  int64_t images_, at_ = 0;
};

}  // namespace

TEST_CASE("a step of an objective waits for nothing, and gives the CPU's loss") {
  if (!counted_device_has_gradients()) return;
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const PretrainRun run = small_run(name, {"output.log_steps=100"});
  const Steps here = run_on(at::kCPU, run), there = run_on(counted_device(), run);
  for (size_t i = 0; i < here.losses.size(); ++i) {
    CHECK(there.losses[i] == Approx(here.losses[i]).epsilon(1e-4));
  }
  CHECK(there.traffic.empty());
  CHECK(here.traffic.empty());
}

TEST_CASE("a whole step waits for nothing, and its numbers are read when the next is queued") {
  if (!counted_device_has_gradients()) return;
  const std::string name = GENERATE(from_range(objectives()));
  INFO(name);
  const PretrainRun run = small_run(name, {"output.log_steps=100", "train.ema_decay=0.9"});
  torch::manual_seed(7);
  const auto objective = run.build();
  objective->to(counted_device());
  objective->train();
  Stepper stepper(*objective, run.options);
  const Batch batch = random_batch(*objective, run.options);
  std::optional<QueuedStep> before;
  for (int64_t step = 101; step < 105; ++step) {
    const StepInfo info{.step = step, .total_steps = 400, .steps_per_epoch = 100, .epochs = 4};
    const HostTraffic making;
    QueuedStep queued = stepper.queue(info, run.options.train.batch, [&] { return batch; });
    auto counts = making.counts();
    if (step == 104) {  // codebooks and constants are there by then
      counts.erase("upload");
      CHECK(counts == std::map<std::string, int64_t>{{"late download", 1}});
    }
    const HostTraffic reading;
    if (before) CHECK(std::isfinite(before->outcome().loss));
    CHECK(in_words(reading) == (before ? "wait 1" : ""));
    before.emplace(std::move(queued));
  }
}

TEST_CASE("a run draws masks ahead, those of the batch that they go with") {
  if (!counted_device_has_gradients()) return;
  const std::string name = GENERATE("mae", "ibot", "dinov2");
  INFO(name);
  const auto losses = [&](at::Device device) {
    const PretrainRun run = small_run(name, {"train.batch=2", "output.log_steps=1"});
    torch::manual_seed(7);
    const auto objective = run.build();
    objective->to(device);
    const TempFolder folder;
    const auto source = std::make_unique<CropSource>(*objective, run.options);
    train(*objective, *source, run.options, folder.path(), /*resume=*/false);
    std::vector<double> all;
    std::istringstream lines(read_whole_file(folder.path() + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      all.push_back(nlohmann::json::parse(line).at("loss").get<double>());
    }
    return all;
  };
  const auto here = losses(at::kCPU), there = losses(counted_device());
  REQUIRE(here.size() == 2 * CropSource::kBatches);
  REQUIRE(there.size() == here.size());
  for (size_t i = 0; i < here.size(); ++i) CHECK(there[i] == Approx(here[i]).epsilon(1e-3));
}

TEST_CASE("a batch is uploaded view by view, and its constants once") {
  const std::vector<ViewSpec> specs = {{.count = 2}, {.pixels = PixelScale::kPlain}};
  Batch batch;
  for (int i = 0; i < 3; ++i) {
    batch.views.push_back(torch::randint(0, 256, {2, 3, 4, 4}, torch::kUInt8));
  }
  batch.labels = torch::arange(2);
  const NormalizeOptions normalize;
  to_device(batch, specs, normalize, counted_device());
  const HostTraffic traffic;
  const Batch there = to_device(batch, specs, normalize, counted_device());
  CHECK(in_words(traffic) == "upload 4");
  const Batch here = to_device(batch, specs, normalize, at::kCPU);
  for (size_t i = 0; i < here.views.size(); ++i) {
    CHECK(there.views[i].device() == counted_device());
    CHECK(there.views[i].is_contiguous());
    CHECK(torch::allclose(there.views[i].cpu(), here.views[i], 1e-6, 1e-6));
  }
  CHECK(torch::equal(there.labels.cpu(), batch.labels));
}

TEST_CASE("the counted device sees what a GPU would wait for, and mixed operands") {
  const at::Tensor host = torch::arange(6).to(torch::kFloat32);
  const auto counts = [&](auto use) {
    const at::Tensor there = host.to(counted_device());
    const HostTraffic traffic;
    use(there);
    return in_words(traffic);
  };
  CHECK(counts([](const at::Tensor& t) { t.mul(2).add_(1).view({2, 3}).sum(0); }) == "");
  CHECK(counts([](const at::Tensor& t) { t.sum().item<double>(); }) == "read 1");
  CHECK(counts([](const at::Tensor& t) { t.cpu(); }) == "download 1");
  CHECK(counts([](const at::Tensor& t) { t.nonzero(); }) == "nonzero 1");
  CHECK(counts([](const at::Tensor& t) { t.index({t > 2}); }) == "index with a mask 1, nonzero 1");
  CHECK(counts([&](const at::Tensor& t) { t.copy_(host); }) == "upload 1");
  CHECK_THROWS(host.to(counted_device()) + host);
  CHECK_THROWS_WITH(torch::mv(torch::ones({2, 6}, counted_device()), host),
                    ContainsSubstring("of the host among"));
  CHECK(torch::equal(host.to(counted_device()).mul_(3).cpu(), host * 3));
}

TEST_CASE("what is uploaded is the tensor itself on the CPU, and a copy elsewhere") {
  const at::Tensor host = torch::arange(4);
  CHECK(upload(host, at::kCPU).is_same(host));
  const at::Tensor there = upload(host, counted_device());
  CHECK(there.device() == counted_device());
  CHECK(torch::equal(upload(there, at::kCPU), host));
  pin_host_memory_for(counted_device());
  const at::Tensor memory = host_memory({2, 3}, torch::kUInt8);
  CHECK(memory.sizes() == at::IntArrayRef({2, 3}));
  CHECK(!memory.is_pinned());
}
