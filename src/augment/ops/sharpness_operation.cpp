#include <torch/types.h>

#include "augment/ops/color.h"
#include "augment/ops/operation.h"

namespace previt {
namespace {

// images [B, 3, H, W], factors [B]
at::Tensor sharpened(const at::Tensor& images, const at::Tensor& factors) {
  const int64_t height = images.size(2), width = images.size(3);
  if (height < 3 || width < 3) return images;
  // As in Pillow, the outermost pixels stay as they are.
  const auto inner = [&](const at::Tensor& whole) {
    return whole.slice(2, 1, height - 1).slice(3, 1, width - 1);
  };
  const at::Tensor here = inner(images);
  // Weights 1 … 5 … 1 over 13: nine times the mean, and four more of the centre.
  const at::Tensor smooth = (9 * torch::avg_pool2d(images, {3, 3}, {1, 1}) + 4 * here) / 13;
  at::Tensor changed = images.clone();
  inner(changed).copy_((smooth + factors.view({-1, 1, 1, 1}) * (here - smooth)).clamp(0, 1));
  return changed;
}

}  // namespace

Operation sharpness_operation() {
  return OperationOf<double>{
      .key = "sharpness",
      .draw = [](const ViewSpec& view, Draws& draws) -> std::optional<double> {
        if (!draws.chance(view.sharpness)) return std::nullopt;
        return draws.uniform(view.sharpness_factor.front(), view.sharpness_factor.back());
      },
      .apply = [](const ViewSpec&,
                  const double& factor,
                  Pixels pixels) { adjust_sharpness(pixels, factor); },
      .plan_batch = [](const ViewSpec&,
                       const std::vector<double>& factors,
                       DeviceLists& lists) -> BatchChange {
        return [list = lists.add(factors)](const at::Tensor& images) {
          return sharpened(images, list.numbers());
        };
      },
  };
}

}  // namespace previt
