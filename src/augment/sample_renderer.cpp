#include "augment/sample_renderer.h"

#include <exception>

namespace previt {

int64_t allowed_reduction(const std::vector<ViewSpec>& specs, const std::vector<ViewPlan>& plans) {
  double allowed = 8;
  for (const auto& plan : plans) {
    const auto& spec = specs[plan.spec];
    const bool random = spec.crop == CropKind::random_resized || spec.crop == CropKind::single_draw;
    const double spare = random ? 1 : 2;
    allowed = std::min({allowed,
                        plan.crop.window.height / (spare * static_cast<double>(spec.height)),
                        plan.crop.window.width / (spare * static_cast<double>(spec.width))});
  }
  int64_t reduction = 8;
  while (reduction > 1 && static_cast<double>(reduction) > allowed) reduction /= 2;
  return reduction;
}

bool SampleRenderer::render(int64_t index,
                            Draws& draws,
                            const std::vector<at::Tensor>& views,
                            int64_t slot,
                            std::string& reason) {
  std::vector<ViewPlan> plans;
  ImageSize size;
  try {
    size = reader_->open(index);
  } catch (const DatasetError&) {
    throw;
  } catch (const std::exception& e) {
    reason = e.what();
    return false;
  }
  plans = plan_views(specs_, size.height, size.width, draws);
  try {
    reader_->decode(union_of_boxes(plans), allowed_reduction(specs_, plans), region_);
  } catch (const DatasetError&) {
    throw;
  } catch (const std::exception& e) {
    reason = e.what();
    return false;
  }
  for (size_t v = 0; v < plans.size(); ++v) {
    const auto& spec = specs_[plans[v].spec];
    auto* pixels = static_cast<uint8_t*>(views[v].data_ptr());
    render_view(region_, spec, plans[v], pixels + slot * spec.height * spec.width * 3);
  }
  return true;
}

}  // namespace previt
