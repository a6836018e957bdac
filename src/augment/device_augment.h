#pragma once

#include <memory>
#include <vector>

#include "augment/views.h"
#include "batch.h"

namespace previt {

/// Cuts one view out of every image of a batch, on the device that holds the canvases. The result
/// is that of render_view() on each image, except that values are not rounded to 8 bits after each
/// operation. There is one plan per image, all of `spec`. canvases uint8 [B, 3, H, W] → float32
/// [B, 3, spec.height, spec.width] in [0, 1]. `antialias` is that of resize_matrices(). Throws
/// UsageError if the spec asks for an operation that works on the host only.
at::Tensor device_views(const at::Tensor& canvases,
                        const ViewSpec& spec,
                        const std::vector<ViewPlan>& plans,
                        bool antialias = true);

/// Turns a source of whole images (one uint8 view, all of one size) into a source of augmented
/// views made on `device`. Every decision is drawn from Stream::device_views, so it depends on
/// neither the device nor the batch. The position is that of the inner source. Throws UsageError as
/// device_views() does.
std::unique_ptr<BatchSource> make_device_augment(std::unique_ptr<BatchSource> canvases,
                                                 std::vector<ViewSpec> specs,
                                                 uint64_t seed,
                                                 at::Device device);

}  // namespace previt
