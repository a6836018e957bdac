#include "augment/device_ops.h"
#include "augment/ops/color.h"
#include "augment/ops/operation.h"

namespace previt {

Operation solarize_operation() {
  return OperationOf<Happens>{
      .key = "solarize",
      .draw = [](const ViewSpec& view, Draws& draws) { return happens(view.solarize, draws); },
      .apply = [](const ViewSpec& view,
                  const Happens&,
                  Pixels pixels) { solarize(pixels, view.solarize_threshold); },
      .apply_batch =
          [](const ViewSpec& view, const std::vector<Happens>&, const at::Tensor& images) {
            return solarize(images, static_cast<double>(view.solarize_threshold) / 255);
          },
  };
}

}  // namespace previt
