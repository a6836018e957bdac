#include "pretrain/train/stepper.h"
#include "support/catch.h"
#include "support/tiny_run.h"

using namespace previt;
using namespace previt::test;

namespace {

StepInfo first_step() {
  StepInfo info;
  info.total_steps = 10;
  info.steps_per_epoch = 5;
  info.epochs = 2;
  return info;
}

/// Weights after three steps of 8 images, cut into micro-batches of `micro` from one same stream.
std::vector<at::Tensor> after_three_steps(int64_t micro, int64_t images = 8) {
  RunOptions options = tiny_options();
  options.train.micro_batch = micro;
  options.optimizer.name = OptimizerKind::sgd;  // Adam would hide a wrong scale of the gradient
  TinyObjective objective;
  Stepper stepper(objective, options);
  MemorySource source(24, micro);
  StepInfo info = first_step();
  for (; info.step < 3; ++info.step) {
    REQUIRE(stepper.step(info, images, [&] { return source.next(); }).images == images);
  }
  return snapshot(objective);
}

void check_close(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i) CHECK(torch::allclose(a[i], b[i], 1e-4, 1e-6));
}

}  // namespace

TEST_CASE("accumulating micro-batches gives the large batch's weights") {
  const auto whole = after_three_steps(8);
  check_close(after_three_steps(4), whole);
  check_close(after_three_steps(1), whole);
}

TEST_CASE("a smaller last micro-batch counts by its share") {
  RunOptions options = tiny_options();
  options.train.batch = 6;
  options.optimizer.name = OptimizerKind::sgd;
  const auto gradient = [&](int64_t micro) {
    options.train.micro_batch = micro;
    TinyObjective objective;
    Stepper stepper(objective, options);
    MemorySource source(5, micro == 6 ? 5 : micro);
    stepper.step(first_step(), 5, [&] { return source.next(); });
    return objective.weight.grad().clone();
  };
  CHECK(torch::allclose(gradient(3), gradient(6), 1e-5, 1e-7));
}

TEST_CASE("a step that is not finite changes nothing") {
  RunOptions options = tiny_options();
  options.train.ema_decay = 0.9;
  TinyObjective objective;
  Stepper stepper(objective, options);
  MemorySource source(24, 8);
  const auto next = [&] { return source.next(); };
  stepper.step(first_step(), 8, next);
  const auto weights = snapshot(objective);
  const auto state = stepper.optimizer().state();
  const at::Tensor count = state.at("step.weight").clone();
  const at::Tensor average = stepper.ema()->tensors().at("weight").clone();

  // A loss that is not finite, and a finite one whose gradient is not.
  const auto broken = GENERATE(0, 1);
  objective.change_loss = [&](const at::Tensor& loss, const StepInfo&) {
    return broken == 0 ? loss * std::numeric_limits<double>::quiet_NaN()
                       : loss + (objective.weight * 0).abs().sum().sqrt();
  };
  const StepOutcome outcome = stepper.step(first_step(), 8, next);
  CHECK(outcome.skipped);
  CHECK(objective.skipped == 1);
  CHECK(same(snapshot(objective), weights));
  CHECK(torch::equal(state.at("step.weight"), count));
  CHECK(torch::equal(stepper.ema()->tensors().at("weight"), average));

  objective.change_loss = nullptr;
  CHECK_FALSE(stepper.step(first_step(), 8, next).skipped);
  CHECK_FALSE(same(snapshot(objective), weights));
}

TEST_CASE("the moving average follows decay * average + (1 - decay) * weight") {
  RunOptions options = tiny_options();
  options.train.ema_decay = 0.75;
  TinyObjective objective;
  Stepper stepper(objective, options);
  MemorySource source(24, 8);
  at::Tensor expected = objective.weight.detach().clone();
  for (int i = 0; i < 3; ++i) {
    stepper.step(first_step(), 8, [&] { return source.next(); });
    expected = 0.75 * expected + 0.25 * objective.weight.detach();
  }
  CHECK(torch::allclose(stepper.ema()->tensors().at("weight"), expected, 1e-6, 1e-7));
  CHECK(stepper.ema()->tensors().at("moves").item<double>() == 3);  // buffers as they are
  const at::Tensor own = objective.weight.detach().clone();
  {
    const EmaScope averaged(stepper.ema());
    CHECK(torch::allclose(objective.weight, expected, 1e-6, 1e-7));
  }
  CHECK(torch::equal(objective.weight, own));
}

TEST_CASE("a micro-step's random numbers depend on seed and place only") {
  const auto loss = [](int64_t seed, int64_t step) {
    RunOptions options = tiny_options();
    options.train.seed = seed;
    TinyObjective objective(/*noise=*/true);
    torch::manual_seed(99 + step);  // what ran before must not matter
    Stepper stepper(objective, options);
    MemorySource source(24, 8);
    StepInfo info = first_step();
    info.step = step;
    return stepper.step(info, 8, [&] { return source.next(); }).loss;
  };
  CHECK(loss(1, 4) == loss(1, 4));
  CHECK(loss(1, 4) != loss(1, 5));
  CHECK(loss(1, 4) != loss(2, 4));
}

TEST_CASE("gradients are clipped after their norm is taken") {
  RunOptions options = tiny_options();
  options.optimizer.name = OptimizerKind::sgd;
  options.optimizer.momentum = 0;
  options.optimizer.weight_decay = 0;
  options.optimizer.base_lr = 1;
  options.optimizer.clip_grad = 1e-3;
  TinyObjective objective;
  const auto before = snapshot(objective);
  Stepper stepper(objective, options);
  MemorySource source(24, 8);
  const StepOutcome outcome = stepper.step(first_step(), 8, [&] { return source.next(); });
  CHECK(outcome.gradient_norm > 0.01);
  double moved = 0;
  const auto after = snapshot(objective);
  for (size_t i = 0; i + 1 < after.size(); ++i) {  // the last is the buffer
    moved += (after[i] - before[i]).square().sum().item<double>();
  }
  CHECK(std::sqrt(moved) == Approx(1e-3).epsilon(1e-2));
}
