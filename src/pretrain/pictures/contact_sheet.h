#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace previt {

/// Pictures in rows and columns with their names written above the columns and a note below.
struct ContactSheet {
  struct Column {
    std::string title;
    at::Tensor images;  ///< [B, 1 or 3, H, W] in [0, 1], one row of the sheet each
  };
  std::vector<Column> columns;  ///< all of one size
  std::string note{};           ///< broken into lines as needed; "" for none

  /// uint8 [H, W, 3]; small images are enlarged by a whole factor, pixel by pixel.
  at::Tensor draw() const;
};

/// Writes `text` on uint8 [H, W, 3] with its upper left corner at (top, left), in letters 5 pixels
/// wide and 8 high, 6 pixels apart. Capitals are written as small letters; what has no glyph stays
/// blank.
void draw_text(at::Tensor& canvas, const std::string& text, int64_t top, int64_t left);

}  // namespace previt
