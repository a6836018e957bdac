#include "pretrain/train/stepper.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "communicator.h"
#include "error.h"
#include "models/kernels/precision.h"
#include "models/kernels/weight_arena.h"
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

/// How much the images of a step weigh in its loss.
struct Stepper::Weights {
  double expected = 0;  ///< in all, by the step's first micro-batch
  double sum = 0;
  bool given = false;  ///< by the loss
};

Stepper::Stepper(Objective& objective, const RunOptions& options)
    : objective_(objective),
      ranks_(world()),
      options_(options),
      device_(device_of(objective)),
      compute_type_(scalar_type(options.train.precision)),
      freezing_(objective, options),
      optimizer_(optimizer_of(objective, options)),
      lr_(lr_schedule(options)),
      weight_decay_(weight_decay_schedule(options.optimizer)) {
  checkpoint_blocks(objective, options.train.checkpoint_blocks);
  if (arena_pays(device_)) move_into_arena(objective.parameters());
  if (options.train.ema_decay > 0) ema_ = std::make_unique<Ema>(objective, options.train.ema_decay);
  if (ranks_.alone()) return;
  std::vector<at::Tensor> tensors;
  for (const auto& parameter : optimizer_->parameters()) tensors.push_back(parameter.tensor);
  gradient_sum_ = std::make_unique<GradientSum>(std::move(tensors));
}

Batch Stepper::on_device(Batch batch) const {
  return to_device(std::move(batch), objective_.views(), options_.normalize, device_);
}

StepOutcome Stepper::step(StepInfo info,
                          int64_t images,
                          const std::function<Batch()>& next,
                          const std::function<RankNews()>& news,
                          bool update) {
  const ComputeTypeGuard precision(compute_type_);
  StepOutcome outcome;
  outcome.lr = lr_(info);
  outcome.images = images;
  optimizer_->zero_grad();
  freezing_.begin_step(info);
  Weights weights;
  at::Tensor loss = accumulate(info, images, next, weights, outcome);
  outcome.news = news();
  if (gradient_sum_) sum_over_ranks(loss, weights, outcome.news);
  if (weights.sum != weights.expected) loss = rescaled(loss, weights.expected / weights.sum);

  Gradients gradients(optimizer_->parameters());
  // Both numbers take one wait for the device. Clipping by parameter waits for the single norms
  // too.
  const at::Tensor numbers = torch::stack({loss, gradients.norm().to(loss)}).cpu();
  ranks_.broadcast(numbers);  // other processors may round the norm otherwise
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
                               Weights& weights,
                               StepOutcome& outcome) {
  const int64_t micro = options_.train.micro(), share = images / ranks_.size();
  info.accumulation = (images + micro - 1) / micro;
  at::Tensor total;
  info.micro_step = ranks_.rank();
  for (int64_t done = 0; done < share; info.micro_step += ranks_.size()) {
    const Batch batch = on_device(next());
    const int64_t count = batch.views.front().size(0);
    seed_torch(options_.train.seed,
               Stream::step,
               {static_cast<uint64_t>(info.step), static_cast<uint64_t>(info.micro_step)});
    const StepResult result = objective_.step(batch, info);
    const double weight = result.weight > 0 ? result.weight : static_cast<double>(count);
    if (done == 0) weights.expected = expected_weight(result, count, images);
    const double factor = weight / weights.expected;
    weights.sum += weight;
    weights.given = weights.given || result.weight > 0;
    done += count;
    const at::Tensor scaled = factor == 1 ? result.loss : result.loss * factor;
    if (gradient_sum_) gradient_sum_->begin_backward(/*last=*/done >= share);
    scaled.backward();
    total = total.defined() ? total + scaled.detach() : scaled.detach();
    outcome.averages.add(result.metrics, static_cast<double>(count));
  }
  info.micro_step = 0;
  return total;
}

// The sum of all weights is known only at the end. Until then, every image is taken to weigh as
// much as those of the step's first micro-batch, which rank 0 has.
double Stepper::expected_weight(const StepResult& first, int64_t count, int64_t images) const {
  const double weight = first.weight > 0 ? first.weight : static_cast<double>(count);
  const double expected = weight * static_cast<double>(images) / static_cast<double>(count);
  if (ranks_.alone()) return expected;
  if (!weighted_) return static_cast<double>(images);
  const at::Tensor of_first = torch::full({1}, expected, torch::kFloat64);
  ranks_.broadcast(of_first);
  return of_first.item<double>();
}

void Stepper::sum_over_ranks(at::Tensor& loss, Weights& weights, RankNews& news) {
  // What is a maximum has a place for each rank.
  const int64_t ranks = ranks_.size(), own = ranks_.rank();
  const at::Tensor sums = torch::tensor({loss.item<double>(),
                                         weights.sum,
                                         weights.given ? 1.0 : 0.0,
                                         static_cast<double>(news.bad_samples)},
                                        torch::kFloat64);
  const at::Tensor each = torch::zeros({2, ranks}, torch::kFloat64);
  each[0][own] = news.stop;
  each[1][own] = news.wait;
  const at::Tensor numbers = torch::cat({sums, each.flatten()});
  gradient_sum_->finish(numbers);
  const double* sum = numbers.const_data_ptr<double>();
  loss = torch::full_like(loss, sum[0]);
  weights.sum = sum[1];
  weighted_ = sum[2] > 0;
  news.bad_samples = std::llround(sum[3]);
  news.stop = static_cast<int>(*std::max_element(sum + 4, sum + 4 + ranks));
  news.wait = *std::max_element(sum + 4 + ranks, sum + 4 + 2 * ranks);
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
