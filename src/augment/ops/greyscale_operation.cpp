#include "augment/device_ops.h"
#include "augment/ops/color.h"
#include "augment/ops/operation.h"

namespace previt {

Operation greyscale_operation() {
  return OperationOf<Happens>{
      .key = "greyscale",
      .draw = [](const ViewSpec& view, Draws& draws) { return happens(view.greyscale, draws); },
      .apply = [](const ViewSpec&, const Happens&, Pixels pixels) { to_greyscale(pixels); },
      .apply_batch = [](const ViewSpec&,
                        const std::vector<Happens>&,
                        const at::Tensor& images) { return greyscale(images); },
  };
}

}  // namespace previt
