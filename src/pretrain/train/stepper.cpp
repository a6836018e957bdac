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

Reading best_reading(at::Device device, const Optimizer& optimizer) {
  return !device.is_cpu() && optimizer.leaves_out() ? Reading::late : Reading::at_once;
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

Stepper::Stepper(Objective& objective,
                 const RunOptions& options,
                 std::optional<Reading> reading,
                 const DeviceGraphMaker& graphs)
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
  graphed_ = GraphedSteps::make(objective, options, device_, graphs);
  if (options.train.ema_decay > 0) ema_ = std::make_unique<Ema>(objective, options.train.ema_decay);
  end_ = make_step_end(reading.value_or(best_reading(device_, *optimizer_)),
                       {objective_, *optimizer_, ema_.get(), options_.optimizer, ranks_});
  if (ranks_.alone()) return;
  std::vector<at::Tensor> tensors;
  for (const auto& parameter : optimizer_->parameters()) tensors.push_back(parameter.tensor);
  gradient_sum_ = std::make_unique<GradientSum>(std::move(tensors));
}

Batch Stepper::on_device(Batch batch) const {
  return to_device(std::move(batch), objective_.views(), options_.normalize, device_);
}

QueuedStep Stepper::queue(StepInfo info,
                          int64_t images,
                          const std::function<Batch()>& next,
                          const std::function<RankNews()>& news) {
  const ComputeTypeGuard precision(compute_type_);
  StepOutcome outcome;
  const at::Tensor loss = gradients(info, images, next, news, outcome);
  return end_->make(info, loss, weight_decay_(info), std::move(outcome));
}

StepOutcome Stepper::try_step(StepInfo info, int64_t images, const std::function<Batch()>& next) {
  const ComputeTypeGuard precision(compute_type_);
  StepOutcome outcome;
  end_->look(gradients(info, images, next, [] { return RankNews(); }, outcome), outcome);
  objective_.skipped_optimizer_step(info);
  return outcome;
}

void Stepper::settle(const std::function<void()>& step) const {
  for (int i = 0; i < 20 && graphed_ && !graphed_->decided(); ++i) step();
}

at::Tensor Stepper::gradients(StepInfo& info,
                              int64_t images,
                              const std::function<Batch()>& next,
                              const std::function<RankNews()>& news,
                              StepOutcome& outcome) {
  outcome.lr = lr_(info);
  outcome.images = images;
  optimizer_->zero_grad();
  freezing_.begin_step(info);
  Weights weights;
  const bool in_one = graphed_ && images == options_.train.batch;
  at::Tensor loss =
      in_one ? graphed_step(info, next, outcome) : accumulate(info, images, next, weights, outcome);
  outcome.news = news();
  if (gradient_sum_) sum_over_ranks(loss, weights, outcome.news);
  return weights.sum == weights.expected ? loss : rescaled(loss, weights.expected / weights.sum);
}

void Stepper::seed(const StepInfo& info) const {
  seed_torch(options_.train.seed,
             Stream::step,
             {static_cast<uint64_t>(info.step), static_cast<uint64_t>(info.micro_step)});
}

at::Tensor Stepper::graphed_step(const StepInfo& info,
                                 const std::function<Batch()>& next,
                                 StepOutcome& outcome) {
  const auto passes = [&](const Batch& batch) {
    StepResult result = objective_.step(on_device(batch), info);
    result.loss.backward();
    result.loss = result.loss.detach();
    return result;
  };
  const StepResult result = graphed_->step(next(), [&] { seed(info); }, passes);
  outcome.averages.add(result.metrics, static_cast<double>(outcome.images));
  return result.loss;
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
    seed(info);
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
  // What is a maximum has a place for each rank. A loss that nobody reads now stays on its device.
  const int64_t ranks = ranks_.size(), own = ranks_.rank();
  const bool late = end_->reading() == Reading::late;
  const at::Tensor sums = torch::tensor({late ? 0.0 : loss.item<double>(),
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
  if (late) {
    const at::Tensor of_all = loss.to(torch::kFloat64);
    ranks_.sum(of_all);
    loss = of_all.to(loss);
  } else {
    loss = torch::full_like(loss, sum[0]);
  }
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

}  // namespace previt
