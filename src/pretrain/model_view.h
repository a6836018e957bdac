#pragma once

#include "batch.h"
#include "models/vit_options.h"

namespace previt {

/// The view of a method that shows its model one picture, sizes of 0 filled in. Throws UsageError
/// for a size that isn't model.image_size.
ViewSpec model_view(ViewSpec view, const VitOptions& model);

}  // namespace previt
