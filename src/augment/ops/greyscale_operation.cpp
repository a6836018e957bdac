#include "augment/ops/color.h"
#include "augment/ops/operation.h"

namespace previt {

Operation greyscale_operation() {
  return OperationOf<Happens>{
      .key = "greyscale",
      .draw = [](const ViewSpec& view, Draws& draws) { return happens(view.greyscale, draws); },
      .apply = [](const ViewSpec&, const Happens&, Pixels pixels) { to_greyscale(pixels); },
      .plan_batch = [](const ViewSpec&, const std::vector<Happens>&, DeviceLists&) -> BatchChange {
        return greyscale;
      },
  };
}

}  // namespace previt
