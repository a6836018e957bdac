// What decides whether a device replays steps, and when that is asked again.
#include <chrono>
#include <thread>

#include "files.h"
#include "log.h"
#include "models/kernels/weight_arena.h"
#include "support/graphed_run.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

// What the log says of steps of a Claimed that `spoil` has changed; they end as launched ones.
std::string log_of(const std::function<void(Claimed&)>& spoil, int64_t freeze_epochs = 0) {
  const TempFolder folder;
  const std::string path = folder.path() + "/log";
  const auto made = [&](GraphChoice choice) {
    const auto objective = std::make_shared<Claimed>();
    spoil(*objective);
    auto steps = std::make_unique<Steps>(objective, claimed_options(choice, freeze_epochs));
    steps->make(freeze_epochs * kEpoch + kDecided + 1);
    return steps;
  };
  const auto launched = made(GraphChoice::off);
  log_to(path);
  const auto replayed = made(GraphChoice::on);
  CHECK(!replayed->graphed()->replays());
  CHECK(replayed->graphed()->decided());
  check_same(*replayed, *launched);
  return read_whole_file(path);
}

std::unique_ptr<Steps> claimed_steps(GraphChoice choice,
                                     int64_t freeze_epochs = 0,
                                     const DeviceGraphMaker& graphs = graphs_there()) {
  return std::make_unique<Steps>(
      std::make_shared<Claimed>(), claimed_options(choice, freeze_epochs), graphs);
}

/// Its replays take longer than launching.
class SlowGraph final : public DeviceGraph {
 public:
  explicit SlowGraph(std::unique_ptr<DeviceGraph> graph) : graph_(std::move(graph)) {}
  void rehearse(const std::function<void()>& work) override { graph_->rehearse(work); }
  void record(const std::function<void()>& work) override { graph_->record(work); }
  void replay() override {
    graph_->replay();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }

 private:
  std::unique_ptr<DeviceGraph> graph_;
};

}  // namespace

TEST_CASE("auto replays or not, with the same numbers") {
  if (!can_be_tried()) return;
  const auto tried = claimed_steps(GraphChoice::automatic),
             as_ever = claimed_steps(GraphChoice::off);
  for (Steps* steps : {tried.get(), as_ever.get()}) steps->make(kDecided + 5);
  CHECK(tried->graphed()->decided());
  check_same(*tried, *as_ever);
}

TEST_CASE("where replaying saves no time, it is tried again once other weights are trained") {
  if (!can_be_tried()) return;
  const GraphCounts before = graph_counts();
  const auto tried = claimed_steps(GraphChoice::automatic, 1, [](at::Device device) {
    return std::make_unique<SlowGraph>(graphs_there()(device));
  });
  const auto as_ever = claimed_steps(GraphChoice::off, 1);
  tried->make(kEpoch);
  CHECK(tried->graphed()->decided());
  CHECK(!tried->graphed()->replays());
  tried->make(kEpoch + kDecided - 1);
  CHECK(!tried->graphed()->decided());
  tried->make(kEpoch + kDecided + 1);
  CHECK(tried->graphed()->decided());
  CHECK(!tried->graphed()->replays());
  as_ever->make(kEpoch + kDecided + 1);
  check_same(*tried, *as_ever);
  if (!there().is_cuda()) CHECK(graph_counts().recordings == before.recordings + 2);
}

TEST_CASE("a step without a gradient, or with an infinite one, decides nothing") {
  if (!can_be_tried()) return;
  const auto tried = claimed_steps(GraphChoice::on), as_ever = claimed_steps(GraphChoice::off);
  for (Steps* steps : {tried.get(), as_ever.get()}) {
    steps->change = [](Batch& batch, int64_t step) {
      if (step == 2) batch.labels.fill_(0);
      if (step == 4) batch.labels.fill_(-10'000'000'000'000);  // its square is a float, no more
    };
    steps->make(kDecided + 1);
  }
  CHECK(as_ever->outcomes.at(2).gradient_norm == 0);
  CHECK(as_ever->outcomes.at(4).skipped);
  CHECK(!tried->graphed()->decided());
  for (Steps* steps : {tried.get(), as_ever.get()}) steps->make(kDecided + 4);
  CHECK(tried->graphed()->decided());
  CHECK(tried->graphed()->replays());
  check_same(*tried, *as_ever);
}

TEST_CASE("for a CUDA device without graphs the log names the headers") {
  const TempFolder folder;
  const std::string path = folder.path() + "/log";
  const Claimed objective;
  move_into_arena(objective.parameters());
  log_to(path);
  CHECK(GraphedSteps::make(
            objective, claimed_options(GraphChoice::on), at::Device(at::kCUDA), [](at::Device) {
              return nullptr;
            }) == nullptr);
  CHECK_THAT(read_whole_file(path),
             ContainsSubstring("no step is replayed: built without CUDA's headers"));
}

TEST_CASE("what a graph would not see is found out before it counts") {
  if (!counted_device_has_gradients()) return;
  // A number of the host that changes.
  CHECK_THAT(log_of([](Claimed& objective) {
               objective.change_loss = [](const at::Tensor& loss, const StepInfo& info) {
                 return loss * static_cast<double>(1 + info.step);
               };
             }),
             ContainsSubstring("a replay's loss is"));
  // The same in a gradient alone.
  CHECK_THAT(log_of([](Claimed& objective) {
               objective.change_loss = [](const at::Tensor& loss, const StepInfo& info) {
                 const at::Tensor more = loss * (0.1 * static_cast<double>(info.step));
                 return loss + more - more.detach();
               };
             }),
             ContainsSubstring("a replay's gradient is off by"));
  // A wait for the device.
  CHECK_THAT(log_of([](Claimed& objective) {
               objective.change_loss = [](const at::Tensor& loss, const StepInfo&) {
                 return loss * (loss.item<double>() > 1e9 ? 2 : 1);
               };
             }),
             ContainsSubstring("read: can't be recorded"));
  // Numbers from the host.
  CHECK_THAT(log_of([](Claimed& objective) {
               objective.change_loss = [](const at::Tensor& loss, const StepInfo& info) {
                 return loss * torch::full({1}, info.step).to(loss.device()).sum();
               };
             }),
             ContainsSubstring("upload: can't be recorded"));
  // No gradient, ever.
  CHECK_THAT(log_of([](Claimed& objective) {
               objective.change_loss = [](const at::Tensor& loss, const StepInfo&) {
                 return loss * 0;
               };
             }),
             ContainsSubstring("5 steps had no usable gradient"));
  // More drawn for one batch than for another.
  CHECK_THAT(log_of([](Claimed& objective) {
               objective.draws = [calls = std::make_shared<int64_t>(0)](const Batch&) {
                 return ++*calls;
               };
             }),
             ContainsSubstring("tensors of a batch are [1] here, [2] there"));
  // A number of the host that changes once other weights are trained.
  CHECK_THAT(log_of(
                 [](Claimed& objective) {
                   objective.change_loss = [](const at::Tensor& loss, const StepInfo& info) {
                     return loss * (info.step < kEpoch + 3 ? 1 : 2);
                   };
                 },
                 /*freeze_epochs=*/1),
             ContainsSubstring("a replay's loss is"));
}
