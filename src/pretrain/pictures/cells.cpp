#include "pretrain/pictures/cells.h"

#include <torch/types.h>

namespace previt {

at::Tensor enlarge_cells(const at::Tensor& cells, int64_t height, int64_t width) {
  return cells.repeat_interleave(height / cells.size(2), 2)
      .repeat_interleave(width / cells.size(3), 3);
}

}  // namespace previt
