#include "pretrain/train/stepper.h"

#include <torch/utils.h>

#include <cmath>

#include "communicator.h"
#include "error.h"
#include "models/kernels/precision.h"
#include "models/layers/block.h"
#include "pretrain/train/gradients.h"
#include "pretrain/train/sharded_optimizer.h"
#include "random.h"

namespace previt {
namespace {

at::Device device_of(const torch::nn::Module& module) {
  const auto parameters = module.parameters();
  return parameters.empty() ? at::Device(at::kCPU) : parameters.front().device();
}

ParamRules rules_of(const Objective& objective, const OptimizerOptions& options) {
  return options.decay_all ? decay_all() : objective.param_rules();
}

std::unique_ptr<Optimizer> optimizer_of(const Objective& objective, const RunOptions& options) {
  auto parameters = trained_parameters(objective, rules_of(objective, options.optimizer));
  if (!options.train.shard_optimizer || world().alone()) {
    return make_optimizer(options.optimizer, std::move(parameters));
  }
  return std::make_unique<ShardedOptimizer>(world(), options.optimizer, std::move(parameters));
}

}  // namespace

void seed_torch(int64_t seed, Stream stream, std::initializer_list<uint64_t> indices) {
  torch::manual_seed(stream_key(static_cast<uint64_t>(seed), stream, indices));
}

Stepper::Stepper(Objective& objective, const RunOptions& options)
    : objective_(objective),
      options_(options),
      device_(device_of(objective)),
      compute_type_(scalar_type(options.train.precision)),
      freezing_(objective, options),
      optimizer_(optimizer_of(objective, options)),
      lr_(lr_schedule(options)),
      weight_decay_(weight_decay_schedule(options.optimizer)) {
  checkpoint_blocks(objective, options.train.checkpoint_blocks);
  if (options.train.ema_decay > 0) ema_ = std::make_unique<Ema>(objective, options.train.ema_decay);
}

Batch Stepper::on_device(Batch batch) const {
  return to_device(std::move(batch), objective_.views(), options_.normalize, device_);
}

StepOutcome Stepper::step(StepInfo info,
                          int64_t images,
                          const std::function<Batch()>& next,
                          bool update) {
  const ComputeTypeGuard precision(compute_type_);
  StepOutcome outcome;
  outcome.lr = lr_(info);
  optimizer_->zero_grad();
  freezing_.begin_step(info);
  const at::Tensor loss = accumulate(info, images, next, outcome);

  Gradients gradients(optimizer_->parameters());
  // Both numbers take one wait for the device. Clipping by parameter waits for the single norms
  // too.
  const at::Tensor numbers = torch::stack({loss, gradients.norm().to(loss)}).cpu();
  outcome.loss = numbers[0].item<double>();
  outcome.gradient_norm = numbers[1].item<double>();
  outcome.skipped = !std::isfinite(outcome.loss) || !std::isfinite(outcome.gradient_norm);
  if (outcome.skipped || !update) {
    objective_.skipped_optimizer_step(info);
  } else {
    clip_and_update(info, gradients, outcome);
  }
  return outcome;
}

at::Tensor Stepper::accumulate(StepInfo& info,
                               int64_t images,
                               const std::function<Batch()>& next,
                               StepOutcome& outcome) {
  const int64_t micro = options_.train.micro();
  info.accumulation = (images + micro - 1) / micro;
  at::Tensor total;
  // The sum of all weights is known only at the end. Until then, every image is taken to weigh as
  // much as those of the first micro-batch.
  double expected = 0, weights = 0;
  for (info.micro_step = 0; outcome.images < images; ++info.micro_step) {
    const Batch batch = on_device(next());
    const int64_t count = batch.views.front().size(0);
    seed_torch(options_.train.seed,
               Stream::step,
               {static_cast<uint64_t>(info.step), static_cast<uint64_t>(info.micro_step)});
    const StepResult result = objective_.step(batch, info);
    const double weight = result.weight > 0 ? result.weight : static_cast<double>(count);
    if (expected == 0) expected = weight * static_cast<double>(images) / static_cast<double>(count);
    const double share = weight / expected;
    weights += weight;
    const at::Tensor scaled = share == 1 ? result.loss : result.loss * share;
    scaled.backward();
    total = total.defined() ? total + scaled.detach() : scaled.detach();
    outcome.averages.add(result.metrics, static_cast<double>(count));
    outcome.images += count;
  }
  info.micro_step = 0;
  return weights == expected ? total : rescaled(total, expected / weights);
}

at::Tensor Stepper::rescaled(const at::Tensor& loss, double factor) const {
  for (const auto& parameter : optimizer_->parameters()) {
    if (parameter.tensor.grad().defined()) parameter.tensor.grad().mul_(factor);
  }
  return loss * factor;
}

void Stepper::clip_and_update(const StepInfo& info, Gradients& gradients, StepOutcome& outcome) {
  const OptimizerOptions& options = options_.optimizer;
  if (options.clip_grad > 0) {
    if (options.clip_mode == ClipMode::per_parameter) {
      gradients.clip_per_parameter(options.clip_grad);
    } else {
      gradients.clip_global(outcome.gradient_norm, options.clip_grad);
    }
  }
  optimizer_->step(outcome.lr, weight_decay_(info));
  objective_.after_optimizer_step(info);
  if (ema_) ema_->update();
}

}  // namespace previt
