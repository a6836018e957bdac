#pragma once

#include <string>
#include <vector>

#include "models/weights/foreign_model.h"
#include "models/weights/rename_table.h"
#include "models/weights/tensor_steps.h"

namespace previt {

/// Between the names of a code base and ours (timm's), both ways.
struct Naming {
  RenameTable table;
  std::vector<TensorStep> steps = {};  ///< in the order in which they make our names
};

/// Weights under our names.
struct NamedWeights {
  /// What Vit has: cls_token, dist_token, pos_embed, reg_token, blocks, norm, fc_norm, head,
  /// head_dist.
  NamedTensors backbone;
  /// The rest of the same file under its official names: decoder_embed, mask_token, lm_head …
  NamedTensors extra;
};

/// Throws Error, led by the model's place, where tensors that belong together are not all there.
NamedWeights to_own(const Naming& naming, const ForeignModel& model);

/// The inverse. What to_own left out, as BEiT's table of relative positions' indices, which follows
/// from the grid, is not made again.
NamedTensors to_foreign(const Naming& naming, NamedTensors weights);

}  // namespace previt
