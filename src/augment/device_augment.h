#pragma once

#include <memory>
#include <vector>

#include "augment/views.h"
#include "batch.h"

namespace previt {

/// Cuts one view out of every image of a batch, on the device where the canvases are: the same as
/// render_view() per image up to its rounding to 8 bits after each operation. All plans are of
/// `spec`. canvases [B, 3, H, W] uint8 → float32 [B, 3, spec.height, spec.width] in [0, 1]. Throws
/// UsageError where the spec asks for RandAugment, which needs 8-bit histograms.
at::Tensor device_views(const at::Tensor& canvases,
                        const ViewSpec& spec,
                        const std::vector<ViewPlan>& plans,
                        bool antialias = true);

/// Turns a source of whole images (one uint8 view of one size) into a source of augmented views
/// made on `device`. Decisions come from Stream::device_views, so they depend on neither the device
/// nor the batch; the position is the inner source's.
std::unique_ptr<BatchSource> make_device_augment(std::unique_ptr<BatchSource> canvases,
                                                 std::vector<ViewSpec> specs,
                                                 uint64_t seed,
                                                 at::Device device);

}  // namespace previt
