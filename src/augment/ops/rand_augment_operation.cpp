#include "augment/ops/operation.h"
#include "augment/ops/rand_augment.h"

namespace previt {

Operation rand_augment_operation() {
  return OperationOf<std::vector<AugmentStep>>{
      .key = "rand_augment",
      .draw = [](const ViewSpec& view,
                 Draws& draws) { return std::optional(draw_steps(view.rand_augment, draws)); },
      .apply =
          [](const ViewSpec& view, const std::vector<AugmentStep>& steps, Pixels pixels) {
            const Resampling how{.filter = view.interpolation};
            for (const auto& step : steps) step.operation->apply(pixels, step.argument, how);
          },
      .plan_batch = nullptr,  // histograms and posterizing need 8 bits
  };
}

}  // namespace previt
