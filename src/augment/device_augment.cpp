#include "augment/device_augment.h"

#include <c10/core/DeviceGuard.h>
#include <torch/types.h>

#include "augment/device_views.h"
#include "augment/gpu_views.h"
#include "augment/ops/operation.h"
#include "error.h"
#include "gpu_launch.h"
#include "upload.h"

namespace previt {
namespace {

void require_available(const std::vector<ViewSpec>& specs) {
  for (const auto& spec : specs) {
    for (const auto& operation : operations()) {
      if (!operation.row->on(spec) || operation.plan_batch) continue;
      fail_usage(
          "data.device_augment: {} works on the host only (view {})", operation.key, spec.name);
    }
  }
}

// images [B, 3, H, W]
ViewSource source_of(const at::Tensor& images, bool cuts) {
  return {{images.size(0), images.size(2), images.size(3)}, cuts};
}

// By the kernels of our own where they are right and fast for such views, else by operators.
BatchChange plan_on(at::Device device,
                    const ViewSpec& spec,
                    const std::vector<ViewPlan>& plans,
                    const ViewSource& source,
                    DeviceLists& lists) {
  const GpuProgram* const program = gpu_views_program(spec, source, device);
  if (program == nullptr) return plan_device_views(spec, plans, source, lists);
  return [program, views = GpuViews(spec, plans, source, lists)](const at::Tensor& images) {
    const c10::DeviceGuard guard(images.device());
    return views.make(*program, gpu_stream(images.device()), images);
  };
}

// Makes views on the device out of the inner source's batches.
class DeviceSource final : public BatchSource {
 public:
  // `cuts`: out of whole images; else the inner source has cut them.
  DeviceSource(std::unique_ptr<BatchSource> inner,
               std::vector<ViewSpec> specs,
               bool cuts,
               uint64_t seed,
               at::Device device)
      : inner_(std::move(inner)),
        specs_(std::move(specs)),
        cuts_(cuts),
        seed_(seed),
        device_(device) {}

  EpochPlan epoch_plan() const override { return inner_->epoch_plan(); }
  void seek(int64_t epoch, int64_t batch) override { inner_->seek(epoch, batch); }
  std::vector<std::string> class_names() const override { return inner_->class_names(); }
  int64_t bad_samples() const override { return inner_->bad_samples(); }

  Batch next() override {
    const torch::NoGradGuard no_grad;
    Batch batch = inner_->next();
    const auto pixels = pixels_of_specs(batch);
    const auto plans = plan(batch);
    DeviceLists lists;
    std::vector<BatchChange> changes;
    for (size_t s = 0; s < specs_.size(); ++s) {
      const ViewSource source = source_of(cuts_ ? batch.views.front() : pixels[s], cuts_);
      changes.push_back(plan_on(device_, specs_[s], plans[s], source, lists));
    }
    lists.upload(device_);
    batch.views.clear();
    for (size_t s = 0; s < specs_.size(); ++s) {
      const auto views = changes[s](pixels[s]).chunk(specs_[s].count);
      batch.views.insert(batch.views.end(), views.begin(), views.end());
    }
    return batch;
  }

 private:
  // Of each spec, its plans in the order of device_views().
  std::vector<std::vector<ViewPlan>> plan(const Batch& batch) const {
    const at::Tensor indices = batch.indices.to(torch::kCPU).contiguous();
    const at::Tensor& first = batch.views.front();
    const int64_t images = indices.numel();
    std::vector<std::vector<ViewPlan>> plans;
    for (const auto& spec : specs_) plans.emplace_back(spec.count * images);
    for (int64_t i = 0; i < images; ++i) {
      Random draws(seed_,
                   Stream::device_views,
                   {static_cast<uint64_t>(batch.epoch),
                    static_cast<uint64_t>(indices.data_ptr<int64_t>()[i])});
      auto of_image = plan_views(specs_, first.size(2), first.size(3), draws);
      auto next = of_image.begin();
      for (size_t s = 0; s < specs_.size(); ++s) {
        for (int64_t k = 0; k < specs_[s].count; ++k) plans[s][k * images + i] = std::move(*next++);
      }
    }
    return plans;
  }

  // What the change of each spec begins with, on the device.
  std::vector<at::Tensor> pixels_of_specs(const Batch& batch) const {
    if (cuts_) {
      require(batch.views.size() == 1,
              "device augmentation: needs one view of whole images, got {}",
              batch.views.size());
      return std::vector(specs_.size(), prepared(upload(batch.views.front(), device_), true));
    }
    std::vector<at::Tensor> pixels;
    auto next = batch.views.begin();
    for (const auto& spec : specs_) {
      std::vector<at::Tensor> views;
      for (int64_t k = 0; k < spec.count; ++k) views.push_back(upload(*next++, device_));
      pixels.push_back(prepared(torch::cat(views), false));
    }
    return pixels;
  }

  const std::unique_ptr<BatchSource> inner_;
  const std::vector<ViewSpec> specs_;
  const bool cuts_;
  const uint64_t seed_;
  const at::Device device_;
};

}  // namespace

at::Tensor device_views(const at::Tensor& canvases,
                        const ViewSpec& spec,
                        const std::vector<ViewPlan>& plans) {
  require_available({spec});
  const torch::NoGradGuard no_grad;
  DeviceLists lists;
  const auto change = plan_on(canvases.device(), spec, plans, source_of(canvases, true), lists);
  lists.upload(canvases.device());
  return change(prepared(canvases, true));
}

std::unique_ptr<BatchSource> make_device_augment(std::unique_ptr<BatchSource> canvases,
                                                 std::vector<ViewSpec> specs,
                                                 uint64_t seed,
                                                 at::Device device) {
  require_available(specs);
  return std::make_unique<DeviceSource>(std::move(canvases), std::move(specs), true, seed, device);
}

std::unique_ptr<BatchSource> make_device_colors(std::unique_ptr<BatchSource> cut,
                                                std::vector<ViewSpec> specs,
                                                uint64_t seed,
                                                at::Device device) {
  require_available(specs);
  // The crops were drawn by the inner source; only operations are drawn here.
  for (auto& spec : specs) {
    spec.crop = CropKind::resize;
    spec.flip = 0;
  }
  return std::make_unique<DeviceSource>(std::move(cut), std::move(specs), false, seed, device);
}

std::vector<ViewSpec> cut_only(const std::vector<ViewSpec>& specs) {
  std::vector<ViewSpec> cut;
  for (const auto& spec : specs) {
    cut.push_back({.name = spec.name,
                   .count = spec.count,
                   .height = spec.height,
                   .width = spec.width,
                   .crop = spec.crop,
                   .scale = spec.scale,
                   .ratio = spec.ratio,
                   .interpolation = spec.interpolation,
                   .crop_pct = spec.crop_pct,
                   .flip = spec.flip,
                   .same_crop_as = spec.same_crop_as,
                   .pixels = spec.pixels});
  }
  return cut;
}

}  // namespace previt
