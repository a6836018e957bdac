// Steps that a device replays must end as those that it is given operator by operator.
#include <limits>
#include <set>

#include "files.h"
#include "log.h"
#include "models/kernels/precision.h"
#include "support/graphed_run.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;

namespace {

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

Steps steps_of(const PretrainRun& run, std::optional<GraphChoice> choice = {}) {
  torch::manual_seed(7);
  RunOptions options = run.options;
  options.train.cuda_graph = choice.value_or(options.train.cuda_graph);
  return {run.build(), options};
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
  replayed.make(10 + kDecided);
  CHECK(replayed.graphed()->replays());
  as_ever.make(10 + kDecided);
  check_same(replayed, as_ever);
  if (!there().is_cuda()) CHECK(graph_counts().recordings == before.recordings + 2);
}

TEST_CASE("replayed steps tell what launched ones tell") {
  if (!can_be_tried()) return;
  const auto made = [](GraphChoice choice) {
    auto steps = std::make_unique<Steps>(std::make_shared<Claimed>(), claimed_options(choice));
    steps->make(kSteps);
    return steps;
  };
  const auto replayed = made(GraphChoice::on), as_ever = made(GraphChoice::off);
  CHECK(replayed->graphed()->replays());
  check_same(*replayed, *as_ever);
  std::set<double> means;
  for (const StepOutcome& outcome : replayed->outcomes) {
    const auto told = outcome.averages.means();
    REQUIRE(told.size() == 1);
    CHECK(told.front().first == "feature_mean");
    means.insert(told.front().second);
  }
  CHECK(means.size() == kSteps);  // none is that of the step after it
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
    log_to(path);
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
  CHECK_THAT(why("mae", {}, make_device_graph), ContainsSubstring("hpu:0 has no CUDA graphs"));
  CHECK(why("mae", {"train.cuda_graph=off"}).empty());

  const PretrainRun run = fast_run("mae");
  const auto objective = run.build();
  CHECK(Stepper(*objective, run.options, {}, recorded_graphs()).graphed() == nullptr);  // a CPU
}
