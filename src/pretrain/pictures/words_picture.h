#pragma once

#include "batch.h"
#include "pretrain/objective.h"

namespace previt {

/// A row for each image [B, C, H, W] (normalised): the input, the input with its masked patches [B,
/// L] grey, its words [B, L] each in a colour of its own, and the predicted words [B, L] of the
/// masked patches among the true ones, these paler.
Picture words_picture(const at::Tensor& images,
                      const at::Tensor& masked,
                      const at::Tensor& words,
                      const at::Tensor& predicted,
                      const NormalizeOptions& normalize);

}  // namespace previt
