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
      .plan_batch =
          [](const ViewSpec& view, const std::vector<Happens>&, DeviceLists&) -> BatchChange {
        return [threshold = static_cast<double>(view.solarize_threshold) /
                            255](const at::Tensor& images) { return solarize(images, threshold); };
      },
  };
}

}  // namespace previt
