#pragma once

#include <string>

#include "batch.h"
#include "models/vit_options.h"

namespace previt {

/// The view of a method that sees each image once, at model.image_size: fills in sizes of 0. Throws
/// UsageError for any other size.
ViewSpec model_view(ViewSpec view, const VitOptions& model);

/// The images [B, C, H, W] of a batch that must hold only this view. Throws Error led by `method`
/// if it doesn't.
const at::Tensor& only_view(const Batch& batch, const ViewSpec& view, const std::string& method);

}  // namespace previt
