#include "commands/memory_probe.h"

#include <algorithm>

#include "commands/bench_run.h"
#include "error.h"
#include "memory.h"
#include "models/layers/block.h"
#include "models/layers/drop_path.h"
#include "models/layers/linear.h"
#include "pretrain/train/optimizer.h"
#include "pretrain/train/stepper.h"

namespace previt::cli {
namespace {

constexpr int64_t kFew = 2, kMore = 6;  // images of the measured micro-batches

struct Weights {
  double bytes = 0, trained = 0, linear = 0;
};

Weights weights_of(const Objective& objective) {
  Weights sum;
  for (const at::Tensor& buffer : objective.buffers()) {
    sum.bytes += static_cast<double>(buffer.nbytes());
  }
  for (const at::Tensor& parameter : objective.parameters()) {
    sum.bytes += static_cast<double>(parameter.nbytes());
    if (parameter.requires_grad()) sum.trained += static_cast<double>(parameter.numel());
  }
  for (const auto& module : objective.modules()) {
    const auto linear = std::dynamic_pointer_cast<Linear>(module);
    if (linear) sum.linear += static_cast<double>(linear->weight.numel());
  }
  return sum;
}

std::shared_ptr<Objective> with_depth(const PretrainRun& run, int64_t depth) {
  RunOptions options = run.options;
  options.model.depth = depth;
  return run.objective->build(options, {});
}

// Whether the method can be built with few blocks.
bool can_be_shallow(const PretrainRun& run) {
  if (run.options.model.depth < 2) return false;
  try {
    with_depth(run, 1);
    with_depth(run, 2);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

// Makes two steps, whose second one starts with all that stays. Gives the most that it holds.
struct Held {
  double before, peak;
};
Held held(Objective& objective, const RunOptions& options) {
  objective.train();
  Stepper stepper(objective, options);
  const Batch pictures = random_pictures(objective, options, options.train.micro());
  const auto step = [&] {
    stepper.step(middle_step(), options.train.batch, [&] { return pictures; });
  };
  step();
  stepper.optimizer().zero_grad();
  const auto before = static_cast<double>(tensor_memory().now);
  restart_tensor_peak();
  step();
  return {before, static_cast<double>(tensor_memory().peak)};
}

// What two micro-batches of `images` images hold beside weights, gradients and the like.
double activations(const PretrainRun& run, int64_t depth, int64_t checkpointed, int64_t images) {
  const auto objective = with_depth(run, depth);
  RunOptions options = run.options;
  options.model.depth = depth;
  options.start = {};
  options.train.freeze_epochs = 0;
  options.train.batch = 2 * images;
  options.train.micro_batch = images;
  options.train.checkpoint_blocks = checkpointed;
  options.train.shard_optimizer = false;
  const Held bytes = held(*objective, options);
  return bytes.peak - bytes.before - 4 * weights_of(*objective).trained;
}

MemoryShape::Rest rest(const PretrainRun& run, int64_t depth, int64_t checkpointed) {
  const double few = activations(run, depth, checkpointed, kFew);
  const double more = activations(run, depth, checkpointed, kMore);
  const double each = (more - few) / (kMore - kFew);
  return {few - kFew * each, each};
}

// What the optimizer keeps beside each weight, of the weight's size.
int64_t states_of(const OptimizerOptions& options) {
  const auto slots = make_optimizer(options, {})->slots();
  return std::count_if(
      slots.begin(), slots.end(), [](const Optimizer::Slot& slot) { return !slot.scalar; });
}

double mean_drop_path(const VitOptions& model, int64_t counted) {
  const auto rates = drop_path_rates(model.drop_path, model.drop_path_mode, model.depth);
  double sum = 0;
  for (size_t i = rates.size() - static_cast<size_t>(counted); i < rates.size(); ++i) {
    sum += rates[i];
  }
  return counted > 0 ? sum / static_cast<double>(counted) : 0;
}

}  // namespace

MemoryShape memory_shape(const PretrainRun& run) {
  const VitOptions& model = run.options.model;
  const bool bf16 = run.options.train.precision == Precision::bf16;
  const int64_t built = can_be_shallow(run) ? 1 : model.depth;
  MemoryShape shape;
  shape.depth = model.depth;
  shape.counted = model.depth - built;
  shape.states = states_of(run.options.optimizer);
  shape.average = run.options.train.ema_decay > 0;
  shape.accumulates = run.options.train.micro() < run.options.train.batch;
  const auto objective = with_depth(run, built);
  Weights weights = weights_of(*objective);
  if (shape.counted > 0) {
    const Weights two = weights_of(*with_depth(run, 2));
    const auto times = static_cast<double>(shape.counted);
    weights = {weights.bytes + times * (two.bytes - weights.bytes),
               weights.trained + times * (two.trained - weights.trained),
               weights.linear + times * (two.linear - weights.linear)};
  }
  shape.weights = weights.bytes;
  shape.trained = weights.trained;
  shape.copied = bf16 ? weights.linear : 0;
  shape.rest = rest(run, built, 0);
  shape.checkpointed_rest = rest(run, built, kAll);
  if (const auto tokens = objective->encoded_tokens_per_image()) {
    shape.block = block_bytes(model, *tokens, mean_drop_path(model, shape.counted), bf16 ? 2 : 4);
    shape.checkpointed_block = checkpointed_block_bytes(model, *tokens);
  } else if (shape.counted > 0) {
    shape.block = rest(run, 2, 0).per_image - shape.rest.per_image;
    shape.checkpointed_block = rest(run, 2, kAll).per_image - shape.checkpointed_rest.per_image;
  }
  return shape;
}

double measured_peak(const PretrainRun& run) {
  const auto others = static_cast<double>(tensor_memory().now);
  const auto objective = run.build();
  return held(*objective, run.options).peak - others;
}

}  // namespace previt::cli
