#include "pretrain/pictures/upsample_nearest.h"

#include <torch/types.h>

namespace previt {

// torch::upsample_nearest2d takes no booleans. At some factors (41, 47, 55, 61) it also rounds down
// an index that should be whole.
at::Tensor upsample_nearest(const at::Tensor& grid, int64_t height, int64_t width) {
  return grid.repeat_interleave(height / grid.size(2), 2)
      .repeat_interleave(width / grid.size(3), 3);
}

}  // namespace previt
