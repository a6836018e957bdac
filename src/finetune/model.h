#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/vit.h"
#include "models/weights/load_model.h"

namespace previt {

/// Throws UsageError that names the first option in which `wanted` can't have the checkpoint's
/// weights: all but those of image size, positions, pooling, distillation token, drop path and
/// head.
void require_same_architecture(const VitOptions& wanted, const LoadedModel& loaded);

/// Throws Error that says what to give where neither the weights nor the user told the heads.
void require_heads(const VitOptions& options, const LoadedModel& loaded);

/// A Vit of `options` with the checkpoint's weights, positions resampled to its image size. A norm
/// or a distillation token that the checkpoint lacks starts afresh. Options that a user may have
/// changed go through require_same_architecture first: that need not wait for the data.
struct HeadChoice {
  bool keep = false;      ///< the checkpoint's own, which must have options.num_classes rows
  double new_std = 2e-5;  ///< else a new one, trunc_normal
};
std::shared_ptr<Vit> vit_from_checkpoint(const LoadedModel& loaded,
                                         const VitOptions& options,
                                         HeadChoice head);

/// Leaves of the checkpoint's head only these classes, in this order.
void keep_classes(LoadedModel& loaded, const std::vector<int64_t>& classes);

}  // namespace previt
