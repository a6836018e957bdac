#pragma once

#include <memory>
#include <vector>

#include "augment/views.h"
#include "batch.h"

namespace previt {

/// Cuts views out of the images of a batch, on the device that holds the canvases. The result is
/// that of render_view() on each image, except that values are not rounded to 8 bits after each
/// operation. canvases uint8 [B, 3, H, W], plans [k·B]: all of `spec`, those of its first crop of
/// each image, then those of its second → float32 [k·B, 3, spec.height, spec.width] in [0, 1].
/// Throws UsageError if the spec asks for an operation that works on the host only.
at::Tensor device_views(const at::Tensor& canvases,
                        const ViewSpec& spec,
                        const std::vector<ViewPlan>& plans);

// The two sources below draw from Stream::device_views, so that a view depends on neither the
// device nor the batch. What is drawn for a batch goes to the device in one copy, and crops of one
// spec are made together. The position is that of the inner source. Both throw UsageError as
// device_views() does.

/// Turns a source of whole images (one uint8 view, all of one size) into a source of augmented
/// views made on `device`.
std::unique_ptr<BatchSource> make_device_augment(std::unique_ptr<BatchSource> canvases,
                                                 std::vector<ViewSpec> specs,
                                                 uint64_t seed,
                                                 at::Device device);

/// Turns a source of uint8 views that are cut but not changed otherwise, those of cut_only(specs),
/// into one of views whose operations (view_operations()) were applied on `device`.
std::unique_ptr<BatchSource> make_device_colors(std::unique_ptr<BatchSource> cut,
                                                std::vector<ViewSpec> specs,
                                                uint64_t seed,
                                                at::Device device);

/// The specs with all operations off.
std::vector<ViewSpec> cut_only(const std::vector<ViewSpec>& specs);

}  // namespace previt
