// Steps that a device replays must end as those that it is given operator by operator.
#include <limits>

#include "files.h"
#include "log.h"
#include "models/kernels/precision.h"
#include "pretrain/train/run_state.h"
#include "pretrain/train/stepper.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "support/recorded_graph.h"
#include "support/same_checkpoint.h"
#include "support/small_objective.h"
#include "support/temp_folder.h"
#include "support/test_device.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

constexpr int64_t kDecided = 7;  // steps: 2 rehearsals, 5 trials
constexpr int64_t kSteps = 12;

// Rates at which old weights, or copies of them, show at once.
PretrainRun fast_run(const std::string& name, const std::vector<std::string>& more = {}) {
  std::vector<std::string> all = {"train.cuda_graph=on",
                                  "train.precision=bf16",
                                  "train.ema_decay=0.9",
                                  "optimizer.base_lr=0.01",
                                  "optimizer.base_batch=0",
                                  "schedule.kind=constant",
                                  "schedule.warmup_epochs=0",
                                  "output.log_steps=100"};
  all.insert(all.end(), more.begin(), more.end());
  return small_run(name, all);
}

StepInfo info_of(int64_t step) {
  return {.step = step, .total_steps = 20, .steps_per_epoch = 10, .epochs = 2};
}

// Where it can be tried: on a GPU with its own graphs, else with those that stand for them.
at::Device there() { return test_device().is_cuda() ? test_device() : counted_device(); }
bool can_be_tried() { return there().is_cuda() || counted_device_has_gradients(); }
DeviceGraphMaker graphs_there() {
  return there().is_cuda() ? DeviceGraphMaker(make_device_graph) : recorded_graphs();
}

/// Steps that see other images each.
class Steps {
 public:
  Steps(std::shared_ptr<Objective> objective, const RunOptions& options)
      : options_(options), objective_(std::move(objective)) {
    objective_->to(there());
    objective_->train();
    stepper_ =
        std::make_unique<Stepper>(*objective_, options_, std::optional<Reading>(), graphs_there());
  }

  // The last of them has `images`.
  void make(int64_t to, int64_t images = 0) {
    for (; made_ < to; ++made_) {
      const bool last = made_ + 1 == to && images > 0;
      Batch batch = random_batch(*objective_, options_);
      for (at::Tensor& view : batch.views) view = view.roll(made_, 0).mul(1 - 0.05 * made_);
      batch.indices.add_(10 * made_);
      if (last) batch = first_images(batch, images);
      if (change) change(batch, made_);
      const int64_t count = last ? images : options_.train.batch;
      outcomes.push_back(stepper_->step(info_of(made_), count, [&] { return batch; }));
    }
  }

  const GraphedSteps* graphed() const { return stepper_->graphed(); }
  Objective& objective() { return *objective_; }
  Checkpoint state() { return collect(*objective_, *stepper_); }

  std::function<void(Batch&, int64_t step)> change;
  std::vector<StepOutcome> outcomes;

 private:
  RunOptions options_;
  std::shared_ptr<Objective> objective_;
  std::unique_ptr<Stepper> stepper_;
  int64_t made_ = 0;
};

Steps steps_of(const PretrainRun& run, std::optional<GraphChoice> choice = {}) {
  torch::manual_seed(7);
  RunOptions options = run.options;
  options.train.cuda_graph = choice.value_or(options.train.cuda_graph);
  return {run.build(), options};
}

// Bit for bit; a GPU may add up in another order.
void check_same(Steps& replayed, Steps& launched) {
  REQUIRE(replayed.outcomes.size() == launched.outcomes.size());
  for (size_t i = 0; i < launched.outcomes.size(); ++i) {
    const StepOutcome &a = replayed.outcomes[i], &b = launched.outcomes[i];
    INFO("step " << i);
    CHECK(a.skipped == b.skipped);
    if (b.skipped) continue;
    CHECK(a.loss == (there().is_cuda() ? Approx(b.loss).epsilon(1e-2) : Approx(b.loss).epsilon(0)));
    if (!there().is_cuda()) CHECK(a.gradient_norm == b.gradient_norm);
    CHECK(a.averages.means().size() == b.averages.means().size());
  }
  if (!there().is_cuda()) CHECK(same_checkpoint(replayed.state(), launched.state()));
}

/// It says that its steps are all alike, and does what it is told.
class Claimed final : public TinyObjective {
 public:
  bool replayable() const override { return true; }
  std::vector<at::Tensor> draw(const Batch& batch) const override {
    return {torch::zeros({draws ? draws(batch) : 1})};
  }
  std::function<int64_t(const Batch&)> draws;
};

RunOptions claimed_options(GraphChoice choice) {
  RunOptions options = tiny_options();
  options.model.image_size = {8};
  options.train.cuda_graph = choice;
  return options;
}

// What the log says of steps of a Claimed that `spoil` has changed; they end as launched ones.
std::string log_of(const std::function<void(Claimed&)>& spoil) {
  const TempFolder folder;
  const std::string path = folder.path() + "/log";
  const auto made = [&](GraphChoice choice) {
    const auto objective = std::make_shared<Claimed>();
    spoil(*objective);
    auto steps = std::make_unique<Steps>(objective, claimed_options(choice));
    steps->make(kSteps);
    return steps;
  };
  const auto launched = made(GraphChoice::off);
  {
    const LogFile file(path);
    const auto replayed = made(GraphChoice::on);
    CHECK(!replayed->graphed()->replays());
    CHECK(replayed->graphed()->decided());
    check_same(*replayed, *launched);
  }
  return read_whole_file(path);
}

}  // namespace

TEST_CASE("steps that are replayed end as those that are launched") {
  if (!can_be_tried()) return;
  const std::string name = GENERATE("mae", "simmim");
  const std::string precision = GENERATE("bf16", "fp32");
  INFO(name << " in " << precision);
  const PretrainRun run = fast_run(name, {"train.precision=" + precision});
  const GraphCounts before = graph_counts();
  Steps replayed = steps_of(run), as_ever = steps_of(run, GraphChoice::off);
  REQUIRE(as_ever.graphed() == nullptr);
  replayed.make(kDecided - 1);
  CHECK(!replayed.graphed()->decided());
  replayed.make(kDecided);
  CHECK(replayed.graphed()->replays());
  replayed.make(kSteps);
  as_ever.make(kSteps);
  check_same(replayed, as_ever);
  if (there().is_cuda()) return;
  CHECK(graph_counts().recordings == before.recordings + 1);
  CHECK(graph_counts().replays == before.replays + kSteps - 2);
}

TEST_CASE("a graph is recorded anew when other weights are trained") {
  if (!can_be_tried()) return;
  PretrainRun run = fast_run("mae");
  run.options.train.freeze_epochs = 1;
  const GraphCounts before = graph_counts();
  Steps replayed = steps_of(run), as_ever = steps_of(run, GraphChoice::off);
  replayed.make(11);  // ten are an epoch
  CHECK(!replayed.graphed()->replays());
  replayed.make(15);
  CHECK(replayed.graphed()->replays());
  as_ever.make(15);
  check_same(replayed, as_ever);
  if (!there().is_cuda()) CHECK(graph_counts().recordings == before.recordings + 2);
}

TEST_CASE("what happens between replays changes nothing of them") {
  if (!can_be_tried()) return;
  const std::string name = GENERATE("mae", "simmim");
  INFO(name);
  const PretrainRun run = fast_run(name);
  Steps replayed = steps_of(run), as_ever = steps_of(run, GraphChoice::off);
  for (Steps* steps : {&replayed, &as_ever}) {
    steps->make(kDecided + 1);
    {  // an evaluation, at another size
      const torch::NoGradGuard no_grad;
      const ComputeTypeGuard type(at::kBFloat16);
      steps->objective().eval();
      const auto images = torch::ones({2, 3, 24, 24}, there());
      steps->objective().backbone()->forward_features(images);
      steps->objective().train();
    }
    steps->make(kDecided + 3, /*images=*/2);  // the last, smaller batch of an epoch
    steps->change = [](Batch& batch, int64_t step) {
      if (step == kDecided + 4) batch.views.front() *= std::numeric_limits<double>::quiet_NaN();
    };
    steps->make(kSteps + 2);
  }
  CHECK(replayed.outcomes.at(kDecided + 4).skipped);
  CHECK(replayed.graphed()->replays());
  check_same(replayed, as_ever);
}

TEST_CASE("auto replays or not, with the same numbers") {
  if (!can_be_tried()) return;
  const PretrainRun run = fast_run("mae", {"train.cuda_graph=auto"});
  Steps tried = steps_of(run), as_ever = steps_of(run, GraphChoice::off);
  tried.make(kSteps);
  as_ever.make(kSteps);
  CHECK(tried.graphed()->decided());
  check_same(tried, as_ever);
}

TEST_CASE("where steps can't be replayed the log says why, and all are launched") {
  if (!counted_device_has_gradients()) return;
  const auto why = [](const std::string& name,
                      const std::vector<std::string>& more,
                      const DeviceGraphMaker& graphs = recorded_graphs()) {
    const TempFolder folder;
    const std::string path = folder.path() + "/log";
    const PretrainRun run = fast_run(name, more);
    const auto objective = run.build();
    objective->to(counted_device());
    const LogFile file(path);
    const Stepper stepper(*objective, run.options, {}, graphs);
    CHECK(stepper.graphed() == nullptr);
    return read_whole_file(path);
  };
  CHECK_THAT(why("dino", {}),
             ContainsSubstring("warning: train.cuda_graph: no step is replayed: "
                               "this method gives each step other work"));
  CHECK_THAT(why("dino", {"train.cuda_graph=auto"}), !ContainsSubstring("warning"));
  CHECK_THAT(why("mae", {"train.micro_batch=2"}), ContainsSubstring("several micro-batches"));
  CHECK_THAT(why("mae", {"train.checkpoint_blocks=1"}), ContainsSubstring("checkpoint_blocks"));
  CHECK_THAT(why("mae", {}, make_device_graph), ContainsSubstring("without CUDA's headers"));
  CHECK(why("mae", {"train.cuda_graph=off"}).empty());

  const PretrainRun run = fast_run("mae");
  const auto objective = run.build();
  CHECK(Stepper(*objective, run.options, {}, recorded_graphs()).graphed() == nullptr);  // a CPU
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
  // More drawn for one batch than for another.
  CHECK_THAT(log_of([](Claimed& objective) {
               objective.draws = [calls = std::make_shared<int64_t>(0)](const Batch&) {
                 return ++*calls;
               };
             }),
             ContainsSubstring("tensors of a batch are [1] here, [2] there"));
}
