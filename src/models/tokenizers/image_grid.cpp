#include "models/tokenizers/image_grid.h"

#include "error.h"

namespace previt {

void ImageGrid::require_pixels(const at::Tensor& pixels) const {
  require(pixels.dim() == 4 && pixels.size(1) == in_channels && pixels.size(2) == height() &&
              pixels.size(3) == width(),
          "tokenizer: pixels are {} instead of [B, {}, {}, {}]",
          pixels.sizes().vec(),
          in_channels,
          height(),
          width());
}

void visit(FieldVisitor& v, ImageGrid& o) {
  v.field("image_size", o.image_size, "[side] or [height, width]", at_least(1));
  v.field("patch_size", o.patch_size, "pixels of a cell", at_least(1));
  v.field("in_channels", o.in_channels, "3: RGB, 1: grey", at_least(1));
}

ImageGrid image_grid(const VitOptions& model) {
  return {.image_size = model.image_size,
          .patch_size = model.patch_size,
          .in_channels = model.in_channels};
}

}  // namespace previt
