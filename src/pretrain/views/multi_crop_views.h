#pragma once

#include <string>
#include <vector>

#include "batch.h"
#include "models/vit_options.h"

namespace previt {

/// Crops of DINO, iBOT and DINOv2: the first global one, the other global ones, and the local ones.
/// A size of 0 is model.image_size for global crops, and 3/7 of it (96 of 224), rounded to whole
/// patches, for local ones. The defaults are dino:main_dino.py's.
struct MultiCropOptions {
  ViewSpec global_1, global_2, local;
  MultiCropOptions();

  std::vector<ViewSpec> views() const;  ///< those that have crops
};
void visit(FieldVisitor& v, MultiCropOptions& o);

/// The options with the numbers of crops and the sizes filled in. Throws UsageError for a size that
/// isn't a whole number of patches.
MultiCropOptions resolve(MultiCropOptions crops,
                         int64_t global_crops,
                         int64_t local_crops,
                         const VitOptions& model);

/// Throws UsageError unless all global crops have one size, as for methods that mask them.
void require_equal_globals(const MultiCropOptions& crops);

/// Throws Error, led by `method`, unless the batch has one view for each of these crops.
void require_crops(const Batch& batch, int64_t crops, const std::string& method);

}  // namespace previt
