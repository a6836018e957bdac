#pragma once

#include <string>
#include <vector>

#include "models/weights/foreign_model.h"
#include "models/weights/rename_table.h"
#include "models/weights/tensor_steps.h"

namespace previt {

/// Translates between the names of a code base and ours (timm's), both ways.
struct Naming {
  RenameTable table;
  std::vector<TensorStep> steps = {};  ///< in the order in which they make our names
};

/// The model's tensors under our names. Throws Error, led by the model's place, if only some of the
/// tensors that belong together are there.
NamedWeights to_own(const Naming& naming, const ForeignModel& model);

/// The inverse. What to_own left out is not made again, such as BEiT's relative_position_index,
/// which follows from the grid.
NamedTensors to_foreign(const Naming& naming, NamedTensors weights);

}  // namespace previt
