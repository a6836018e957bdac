#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "pretrain/train/run_state.h"
#include "pretrain/train/stepper.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "support/recorded_graph.h"
#include "support/same_checkpoint.h"
#include "support/small_objective.h"
#include "support/test_device.h"
#include "support/tiny_run.h"

namespace previt::test {

constexpr int64_t kDecided = 7;  ///< steps: 2 rehearsals, 5 trials
constexpr int64_t kEpoch = 10;   ///< steps

// Where it can be tried: on a GPU with its own graphs, else with those that stand for them.
inline at::Device there() { return test_device().is_cuda() ? test_device() : counted_device(); }
inline bool can_be_tried() { return there().is_cuda() || counted_device_has_gradients(); }
inline DeviceGraphMaker graphs_there() {
  return there().is_cuda() ? DeviceGraphMaker(make_device_graph) : recorded_graphs();
}

/// Steps that see other images each.
class Steps {
 public:
  Steps(std::shared_ptr<Objective> objective,
        const RunOptions& options,
        const DeviceGraphMaker& graphs = graphs_there())
      : options_(options), objective_(std::move(objective)) {
    objective_->to(there());
    objective_->train();
    begin_ = weights();
    stepper_ = std::make_unique<Stepper>(*objective_, options_, std::optional<Reading>(), graphs);
  }

  /// The last of them has `images`.
  void make(int64_t to, int64_t images = 0) {
    for (; made_ < to; ++made_) {
      const bool last = made_ + 1 == to && images > 0;
      Batch batch = random_batch(*objective_, options_);
      for (at::Tensor& view : batch.views) view = view.roll(made_, 0).mul(1 - 0.05 * made_);
      batch.indices.add_(10 * made_);
      if (last) batch = first_images(batch, images);
      if (change) change(batch, made_);
      const int64_t count = last ? images : options_.train.batch;
      const StepInfo info{
          .step = made_, .total_steps = 2 * kEpoch, .steps_per_epoch = kEpoch, .epochs = 2};
      outcomes.push_back(stepper_->step(info, count, [&] { return batch; }));
    }
  }

  const GraphedSteps* graphed() const { return stepper_->graphed(); }
  Objective& objective() { return *objective_; }
  Checkpoint state() { return collect(*objective_, *stepper_); }
  /// On the host.
  at::Tensor weights() const {
    std::vector<at::Tensor> all;
    for (const at::Tensor& one : objective_->parameters()) all.push_back(one.detach().flatten());
    return torch::cat(all).cpu();
  }
  /// How the weights have changed since the first step.
  at::Tensor way() const { return weights() - begin_; }

  std::function<void(Batch&, int64_t step)> change;
  std::vector<StepOutcome> outcomes;

 private:
  RunOptions options_;
  std::shared_ptr<Objective> objective_;
  at::Tensor begin_;
  std::unique_ptr<Stepper> stepper_;
  int64_t made_ = 0;
};

/// Bit for bit; a GPU may add up in another order.
inline void check_same(Steps& replayed, Steps& launched) {
  const bool exactly = !there().is_cuda();
  const auto near = [&](double value) {
    return exactly ? Approx(value).epsilon(0) : Approx(value).epsilon(1e-2).margin(1e-3);
  };
  REQUIRE(replayed.outcomes.size() == launched.outcomes.size());
  for (size_t i = 0; i < launched.outcomes.size(); ++i) {
    const StepOutcome &a = replayed.outcomes[i], &b = launched.outcomes[i];
    INFO("step " << i);
    CHECK(a.skipped == b.skipped);
    if (b.skipped) continue;
    CHECK(a.loss == near(b.loss));
    if (exactly) CHECK(a.gradient_norm == b.gradient_norm);
    const auto means = a.averages.means(), wanted = b.averages.means();
    REQUIRE(means.size() == wanted.size());
    for (size_t j = 0; j < wanted.size(); ++j) {
      CHECK(means[j].first == wanted[j].first);
      CHECK(means[j].second == near(wanted[j].second));
    }
  }
  const double way = launched.way().norm().item<double>();
  CHECK(way > 0);
  CHECK((replayed.way() - launched.way()).norm().item<double>() <= 0.2 * way);
  if (exactly) CHECK(same_checkpoint(replayed.state(), launched.state()));
}

/// It says that its steps are all alike, and does what it is told. Its loss is multiplied by the
/// square of the labels' mean, which is -1 unless a step changes them.
class Claimed final : public TinyObjective {
 public:
  Claimed() : TinyObjective(/*noise=*/true) {}
  bool replayable() const override { return true; }
  std::vector<at::Tensor> draw(const Batch& batch) const override {
    return {torch::zeros({draws ? draws(batch) : 1})};
  }
  StepResult step(const Batch& batch, const StepInfo& info) override {
    StepResult result = TinyObjective::step(batch, info);
    result.loss = result.loss * batch.labels.to(torch::kFloat32).mean().square();
    return result;
  }
  std::function<int64_t(const Batch&)> draws;
};

inline RunOptions claimed_options(GraphChoice choice, int64_t freeze_epochs = 0) {
  RunOptions options = tiny_options();
  options.model.image_size = {8};
  options.train.cuda_graph = choice;
  options.train.freeze_epochs = freeze_epochs;
  return options;
}

}  // namespace previt::test
