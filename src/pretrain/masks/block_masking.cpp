#include "pretrain/masks/block_masking.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "pretrain/masks/mask_stream.h"

namespace previt {
namespace {

constexpr int kBlockAttempts = 10;  // to place one block
constexpr int kMaskAttempts = 100;  // to mask anything of an image

// Halves go to the even neighbour, as with the round() of Python that the authors use.
int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

// A grid of patches, row by row, in plain memory: a mask takes hundreds of tiny steps.
struct PatchCells {
  int64_t height, width;
  bool* cells;

  // Counts the cells of a block that aren't masked yet; with `mask`, also masks them.
  int64_t open_cells(int64_t top, int64_t left, int64_t rows, int64_t columns, bool mask) {
    int64_t open = 0;
    for (int64_t y = top; y < top + rows; ++y) {
      for (int64_t x = left; x < left + columns; ++x) {
        bool& cell = cells[y * width + x];
        open += cell ? 0 : 1;
        cell = cell || mask;
      }
    }
    return open;
  }
};

// Masks the first block that adds between 1 and `most` patches. Returns how many it added, 0 if
// none fits.
int64_t add_block(PatchCells& grid, double most, const BlockMaskOptions& o, Draws& draws) {
  const double log_aspect = std::log(o.min_aspect);
  for (int attempt = 0; attempt < kBlockAttempts; ++attempt) {
    const double area = draws.uniform(static_cast<double>(o.min_patches), most);
    const double aspect = std::exp(draws.uniform(log_aspect, -log_aspect));
    const int64_t rows = rounded(std::sqrt(area * aspect));
    const int64_t columns = rounded(std::sqrt(area / aspect));
    // As in the official code, a block is smaller than the grid in both directions.
    if (rows >= grid.height || columns >= grid.width) continue;
    const int64_t top = draws.integer(0, grid.height - rows + 1);
    const int64_t left = draws.integer(0, grid.width - columns + 1);
    const int64_t open = grid.open_cells(top, left, rows, columns, /*mask=*/false);
    if (open == 0 || static_cast<double>(open) > most) continue;
    return grid.open_cells(top, left, rows, columns, /*mask=*/true);
  }
  return 0;
}

}  // namespace

void visit(FieldVisitor& v, BlockMaskOptions& o) {
  v.field("min_patches", o.min_patches, "of a block, before its sides are rounded", at_least(1));
  v.field("max_patches", o.max_patches, "0: as many as are left to mask", at_least(0));
  v.field("min_aspect", o.min_aspect, "smallest height / width, or width / height", {0, 1, true});
}

at::Tensor block_mask(
    int64_t height, int64_t width, double target, const BlockMaskOptions& options, Draws& draws) {
  const at::Tensor mask = torch::zeros({height, width}, torch::kBool);
  PatchCells grid{height, width, mask.mutable_data_ptr<bool>()};
  const double largest =
      options.max_patches > 0 ? static_cast<double>(options.max_patches) : target;
  for (double masked = 0; masked < target;) {
    const int64_t added = add_block(grid, std::min(target - masked, largest), options, draws);
    if (added == 0) break;
    masked += static_cast<double>(added);
  }
  return mask;
}

at::Tensor block_masks(const Batch& batch,
                       int64_t height,
                       int64_t width,
                       double target,
                       const BlockMaskOptions& options,
                       int64_t seed) {
  std::vector<at::Tensor> masks;
  for (int64_t i = 0; i < batch.indices.size(0); ++i) {
    Random random = mask_stream(batch, i, seed);
    at::Tensor mask;
    for (int attempt = 0; attempt < kMaskAttempts; ++attempt) {
      mask = block_mask(height, width, target, options, random).flatten();
      if (mask.any().item<bool>()) break;
    }
    masks.push_back(mask);
  }
  return torch::stack(masks);
}

}  // namespace previt
