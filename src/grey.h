#pragma once

#include "batch.h"

namespace previt {

/// [B, 3, H, W] on any device → float32 [B, 1, H, W]: Pillow's "L", rounded where `pixels` are
/// bytes.
at::Tensor grey_of(const at::Tensor& pixels);

/// Numbers for RGB become those for its grey.
void make_grey(NormalizeOptions& options);

}  // namespace previt
