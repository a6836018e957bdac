#include "augment/device_augment.h"

#include <torch/types.h>

#include "augment/device_ops.h"
#include "augment/ops/operation.h"
#include "error.h"
#include "upload.h"

namespace previt {
namespace {

at::Tensor cut(const at::Tensor& canvases,
               const ViewSpec& spec,
               const std::vector<ViewPlan>& plans,
               bool antialias) {
  std::vector<Axis> down, across;
  std::vector<bool> upright(plans.size(), false), flipped;
  for (const auto& plan : plans) {
    const auto& [box, window, order] = plan.crop;
    down.push_back({window.top, window.height, box.top, box.top + box.height, spec.height});
    across.push_back({window.left, window.width, box.left, box.left + box.width, spec.width});
    flipped.push_back(plan.flip);
  }
  const Filter filter = spec.interpolation;
  const at::Device device = canvases.device();
  const at::Tensor rows =
      resize_matrices(down, upright, canvases.size(2), filter, antialias, device);
  const at::Tensor columns =
      resize_matrices(across, flipped, canvases.size(3), filter, antialias, device);
  return resample(canvases.to(torch::kFloat32) / 255, rows, columns).clamp_(0, 1);
}

void require_available(const ViewSpec& spec) {
  for (const auto& operation : operations()) {
    if (!operation.row->on(spec) || operation.apply_batch) continue;
    fail_usage(
        "data.device_augment: {} works on the host only (view {})", operation.key, spec.name);
  }
}

// Changes the images for which the operation was drawn.
void apply_drawn(const Operation& operation,
                 const ViewSpec& spec,
                 const std::vector<ViewPlan>& plans,
                 at::Tensor& images) {
  std::vector<int64_t> which;
  std::vector<std::any> drawn;
  for (size_t i = 0; i < plans.size(); ++i) {
    const auto found = plans[i].drawn.find(operation.key);
    if (found == plans[i].drawn.end()) continue;
    which.push_back(static_cast<int64_t>(i));
    drawn.push_back(found->second);
  }
  change_rows(images, which, [&](const at::Tensor& some) {
    return operation.apply_batch(spec, drawn, some);
  });
}

class DeviceAugmentSource final : public BatchSource {
 public:
  DeviceAugmentSource(std::unique_ptr<BatchSource> canvases,
                      std::vector<ViewSpec> specs,
                      uint64_t seed,
                      at::Device device)
      : canvases_(std::move(canvases)), specs_(std::move(specs)), seed_(seed), device_(device) {}

  EpochPlan epoch_plan() const override { return canvases_->epoch_plan(); }
  void seek(int64_t epoch, int64_t batch) override { canvases_->seek(epoch, batch); }
  std::vector<std::string> class_names() const override { return canvases_->class_names(); }
  int64_t bad_samples() const override { return canvases_->bad_samples(); }

  Batch next() override {
    Batch batch = canvases_->next();
    require(batch.views.size() == 1,
            "device augmentation: needs one view of whole images, got {}",
            batch.views.size());
    const at::Tensor canvases = upload(batch.views.front(), device_);
    const auto plans = plan(batch);
    batch.views.clear();
    for (const auto& of_view : plans) {
      batch.views.push_back(device_views(canvases, specs_[of_view.front().spec], of_view));
    }
    return batch;
  }

 private:
  // One list of plans per view, with one plan per image.
  std::vector<std::vector<ViewPlan>> plan(const Batch& batch) const {
    const at::Tensor indices = batch.indices.to(torch::kCPU).contiguous();
    const at::Tensor& canvases = batch.views.front();
    std::vector<std::vector<ViewPlan>> plans;
    for (int64_t i = 0; i < indices.numel(); ++i) {
      Random draws(seed_,
                   Stream::device_views,
                   {static_cast<uint64_t>(batch.epoch),
                    static_cast<uint64_t>(indices.data_ptr<int64_t>()[i])});
      auto of_image = plan_views(specs_, canvases.size(2), canvases.size(3), draws);
      plans.resize(of_image.size());
      for (size_t v = 0; v < of_image.size(); ++v) plans[v].push_back(std::move(of_image[v]));
    }
    return plans;
  }

  std::unique_ptr<BatchSource> canvases_;
  std::vector<ViewSpec> specs_;
  uint64_t seed_;
  at::Device device_;
};

}  // namespace

at::Tensor device_views(const at::Tensor& canvases,
                        const ViewSpec& spec,
                        const std::vector<ViewPlan>& plans,
                        bool antialias) {
  require_available(spec);
  TORCH_CHECK(canvases.size(0) == static_cast<int64_t>(plans.size()), "one plan per image");
  const torch::NoGradGuard no_grad;
  at::Tensor images = cut(canvases, spec, plans, antialias);
  for (const auto& operation : operations()) apply_drawn(operation, spec, plans, images);
  return images;
}

std::unique_ptr<BatchSource> make_device_augment(std::unique_ptr<BatchSource> canvases,
                                                 std::vector<ViewSpec> specs,
                                                 uint64_t seed,
                                                 at::Device device) {
  for (const auto& spec : specs) require_available(spec);
  return std::make_unique<DeviceAugmentSource>(std::move(canvases), std::move(specs), seed, device);
}

}  // namespace previt
