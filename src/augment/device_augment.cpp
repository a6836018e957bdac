#include "augment/device_augment.h"

#include <torch/types.h>

#include "augment/device_ops.h"
#include "error.h"

namespace previt {
namespace {

using Operation =
    std::function<at::Tensor(const at::Tensor& images, const std::vector<size_t>& which)>;

// Replaces some images of the batch by what `operation` makes of them. Nothing is read back, so a
// device need not be waited for.
template <class Predicate>
void change_where(at::Tensor& images,
                  const std::vector<ViewPlan>& plans,
                  Predicate chosen,
                  const Operation& operation) {
  std::vector<size_t> which;
  for (size_t i = 0; i < plans.size(); ++i) {
    if (chosen(plans[i])) which.push_back(i);
  }
  if (which.empty()) return;
  const at::Tensor rows =
      torch::tensor(std::vector<int64_t>(which.begin(), which.end()), torch::kLong)
          .to(images.device());
  images.index_copy_(0, rows, operation(images.index_select(0, rows), which));
}

template <class Value>
at::Tensor factors_of(const std::vector<ViewPlan>& plans,
                      const std::vector<size_t>& which,
                      at::Device device,
                      Value value) {
  std::vector<double> factors;
  for (const size_t i : which) factors.push_back(value(plans[i]));
  return torch::tensor(factors, torch::kFloat64).to(torch::kFloat32).to(device);
}

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

at::Tensor jitter_step(int operation,
                       const at::Tensor& images,
                       const std::vector<ViewPlan>& plans,
                       const std::vector<size_t>& which) {
  const auto factors = [&](auto value) { return factors_of(plans, which, images.device(), value); };
  switch (operation) {
    case 0:
      return adjust_brightness(images,
                               factors([](const ViewPlan& p) { return p.jitter.brightness; }));
    case 1:
      return adjust_contrast(images, factors([](const ViewPlan& p) { return p.jitter.contrast; }));
    case 2:
      return adjust_saturation(images,
                               factors([](const ViewPlan& p) { return p.jitter.saturation; }));
    default:
      return adjust_hue(images, factors([](const ViewPlan& p) { return p.jitter.hue; }));
  }
}

// Every image has its own order; at each place in it, images with the same operation go together.
void jitter(at::Tensor& images, const std::vector<ViewPlan>& plans) {
  for (size_t place = 0; place < 4; ++place) {
    for (int operation = 0; operation < 4; ++operation) {
      change_where(
          images,
          plans,
          [&](const ViewPlan& plan) {
            return plan.jitter.on && plan.jitter.order[place] == operation;
          },
          [&](const at::Tensor& some, const auto& which) {
            return jitter_step(operation, some, plans, which);
          });
    }
  }
}

// RandAugment needs 8-bit histograms.
void require_available(const ViewSpec& spec) {
  if (spec.rand_augment.empty()) return;
  fail_usage("data.device_augment: rand_augment works on the host only (view {})", spec.name);
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
    const at::Tensor canvases = batch.views.front().to(device_, /*non_blocking=*/true);
    const auto plans = plan(batch);
    batch.views.clear();
    for (const auto& of_view : plans) {
      batch.views.push_back(device_views(canvases, specs_[of_view.front().spec], of_view));
    }
    return batch;
  }

 private:
  // [view][image]
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
  jitter(images, plans);
  change_where(
      images,
      plans,
      [](const ViewPlan& plan) { return plan.greyscale; },
      [](const at::Tensor& some, const auto&) { return greyscale(some); });
  change_where(
      images,
      plans,
      [](const ViewPlan& plan) { return plan.blur_sigma > 0; },
      [&](const at::Tensor& some, const std::vector<size_t>& which) {
        std::vector<double> sigmas;
        for (const size_t i : which) sigmas.push_back(plans[i].blur_sigma);
        return gaussian_blur(some, sigmas);
      });
  change_where(
      images,
      plans,
      [](const ViewPlan& plan) { return plan.solarize; },
      [&](const at::Tensor& some, const auto&) {
        return solarize(some, static_cast<double>(spec.solarize_threshold) / 255);
      });
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
