#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/vit.h"
#include "models/weights/load_model.h"

namespace previt {

/// Throws UsageError that names the first option of `wanted` that the checkpoint's weights don't
/// fit. Image size, positions, pooling, distillation token, drop path, head and LayerNorm's
/// epsilon may differ; with patterns in `allow` (Misfits) also what is just there or not.
void require_same_architecture(const VitOptions& wanted,
                               const LoadedModel& loaded,
                               const std::string& allow = "");

/// Throws Error that says what to give (HintWords::heads) where neither the weights nor the user
/// said how many attention heads there are.
void require_heads(const VitOptions& options,
                   const LoadedModel& loaded,
                   const HintWords& words = {});

/// Which head a model gets.
struct HeadChoice {
  bool keep = false;      ///< the checkpoint's own, which must have options.num_classes rows
  double new_std = 2e-5;  ///< of a new head's weights (truncated normal) otherwise
};

/// A Vit of `options` with the checkpoint's weights, its positions resampled to the model's image
/// size. A norm or a distillation token that the checkpoint lacks starts anew. Throws Error where
/// other weights are missing, or where some have no place in the model, but for what `allow` names
/// (Misfits). Options that a user may have changed go through require_same_architecture first,
/// which needs no data. With the checkpoint's own head, and without `allow`, a classifier that has
/// a distillation token but one head answers with that alone (transformers'
/// DeiTForImageClassification).
std::shared_ptr<Vit> vit_from_checkpoint(const LoadedModel& loaded,
                                         const VitOptions& options,
                                         HeadChoice head,
                                         const std::string* allow = nullptr);

/// The same with the checkpoint's own head, for a network that is only used: it shares the memory
/// of the checkpoint's weights, and no random number is drawn.
std::shared_ptr<Vit> frozen_vit(const LoadedModel& loaded, const VitOptions& options);

/// Keeps only these classes of the checkpoint's head and of its class names, in this order.
void keep_classes(LoadedModel& loaded, const std::vector<int64_t>& classes);

}  // namespace previt
