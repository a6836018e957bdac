#pragma once

#include "batch.h"
#include "models/vit.h"
#include "pretrain/objective.h"

namespace previt {

/// What the class token looks at in the last block: a row for each of `images` (normalised,
/// [B, C, H, W]), with the mean over all heads and the first heads alone, each from black at 0 to
/// white at its largest value.
Picture attention_picture(Vit& vit, const at::Tensor& images, const NormalizeOptions& normalize);

}  // namespace previt
