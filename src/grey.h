#pragma once

#include "batch.h"

namespace previt {

/// [B, 3, H, W] on any device → float32 [B, 1, H, W]: grey as in Pillow's mode "L", rounded to
/// whole numbers if `pixels` are bytes. Source: Pillow, src/libImaging/Convert.c.
at::Tensor grey_of(const at::Tensor& pixels);

/// Replaces mean and standard deviation for RGB by those for grey, the same weighted sums as a
/// pixel's. Lists that do not have three numbers stay as they are.
void make_grey(NormalizeOptions& options);

}  // namespace previt
