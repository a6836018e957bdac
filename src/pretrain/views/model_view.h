#pragma once

#include <string>

#include "batch.h"
#include "models/vit_options.h"

namespace previt {

/// The view of a method that sees each image once, at model.image_size: fills in a size of 0 and
/// throws UsageError for another one.
ViewSpec model_view(ViewSpec view, const VitOptions& model);

/// The images of a batch that must hold this one view; throws Error led by `method`.
const at::Tensor& only_view(const Batch& batch, const ViewSpec& view, const std::string& method);

}  // namespace previt
