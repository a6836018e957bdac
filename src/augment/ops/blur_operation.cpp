#include "augment/ops/blur.h"
#include "augment/ops/operation.h"

namespace previt {

Operation blur_operation() {
  return OperationOf<double>{
      .key = "blur",
      .draw = [](const ViewSpec& view, Draws& draws) -> std::optional<double> {
        if (!draws.chance(view.blur)) return std::nullopt;
        return draws.uniform(view.blur_sigma.front(), view.blur_sigma.back());
      },
      .apply =
          [](const ViewSpec&, const double& sigma, Pixels pixels) { gaussian_blur(pixels, sigma); },
      .plan_batch = [](const ViewSpec&,
                       const std::vector<double>& sigmas,
                       DeviceLists& lists) -> BatchChange {
        std::vector<double> weights;
        for (const double sigma : sigmas)
          weights.push_back(box_weight(box_radius(static_cast<float>(sigma))));
        return [list = lists.add(weights)](const at::Tensor& images) {
          return gaussian_blur(images, list.numbers());
        };
      },
  };
}

}  // namespace previt
