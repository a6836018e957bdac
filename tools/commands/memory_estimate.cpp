#include "commands/memory_estimate.h"

#include <algorithm>

#include "models/layers/mlp.h"

namespace previt::cli {
namespace {

constexpr double kFloat = 4, kBf16 = 2;

}  // namespace

double block_bytes(const VitOptions& model, double tokens, double drop_path, double type_bytes) {
  const auto dim = static_cast<double>(model.embed_dim);
  const auto width = static_cast<double>(model.attention_width());
  const auto hidden =
      static_cast<double>(mlp_hidden_width(model.mlp, model.embed_dim, model.mlp_ratio));
  const double inputs = kFloat * 2 * dim;
  const double scaled = model.layer_scale > 0 ? kFloat * 2 * dim : 0;
  const double sums = kFloat * (static_cast<double>(model.num_heads) + 4);
  const double of_mlp = (model.mlp == MlpKind::swiglu ? 4 : 2) * hidden;
  const double branches = type_bytes * (2 * dim + 4 * width + of_mlp);
  return tokens * (inputs + (1 - drop_path) * (scaled + sums + branches));
}

double checkpointed_block_bytes(const VitOptions& model, double tokens) {
  return kFloat * tokens * static_cast<double>(model.embed_dim);
}

MemoryNeed memory_need(const MemoryShape& shape, const MemoryChoice& choice) {
  const int64_t asked = choice.checkpoint_blocks;
  const bool all = asked < 0 || asked >= shape.depth;
  const auto again = static_cast<double>(all ? shape.counted : std::min(asked, shape.counted));
  const double kept = static_cast<double>(shape.counted) - again;
  const auto images = static_cast<double>(choice.images);
  const MemoryShape::Rest& rest = asked != 0 && all ? shape.checkpointed_rest : shape.rest;

  MemoryNeed need;
  need.weights = shape.weights;
  need.gradients = kFloat * shape.trained;
  const auto owners = static_cast<double>(choice.shard_optimizer ? choice.processes : 1);
  need.optimizer = kFloat * shape.states * shape.trained / owners;
  need.average = shape.average ? shape.weights : 0;
  need.copies = kBf16 * shape.copied;
  const double inputs = again * shape.checkpointed_block;
  const double at_end = rest.fixed + images * (rest.per_image + kept * shape.block + inputs);
  // A block that is made again stands there whole.
  const double of_one = images * (inputs + (again > 0 ? shape.block : 0));
  need.activations = std::max(at_end, of_one);
  const double fixed = need.weights + need.optimizer + need.average + need.copies;
  const double last = need.gradients + of_one;  // at the first block, the last of backward
  need.peak = fixed + (shape.accumulates ? need.gradients + need.activations
                                         : std::max(need.activations, last));
  return need;
}

}  // namespace previt::cli
