#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "models/vit_options.h"
#include "options.h"

namespace previt {

/// Images of one size as a grid of square cells, one for each token.
struct ImageGrid {
  std::vector<int64_t> image_size = {224};  ///< [side] or [height, width]
  int64_t patch_size = 16;                  ///< pixels of a cell's side
  int64_t in_channels = 3;

  int64_t height() const { return image_size.front(); }
  int64_t width() const { return image_size.back(); }
  int64_t rows() const { return height() / patch_size; }
  int64_t columns() const { return width() / patch_size; }

  /// Throws Error for anything but [B, C, height, width].
  void require_pixels(const at::Tensor& pixels) const;
};
void visit(FieldVisitor& v, ImageGrid& o);

/// The grid of a model's patches.
ImageGrid image_grid(const VitOptions& model);

}  // namespace previt
