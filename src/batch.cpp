#include "batch.h"

#include <fmt/ranges.h>
#include <torch/types.h>

#include "error.h"
#include "grey.h"
#include "rand_augment_policy.h"

namespace previt {
namespace {

std::string wrong_bounds(const std::vector<double>& bounds) {
  if (bounds.size() == 2 && bounds.front() <= bounds.back()) return "";
  return fmt::format("[{}] is not the lowest and the highest, like [0.5, 1]",
                     fmt::join(bounds, ", "));
}

std::string wrong_rand_augment(const std::string& policy) {
  if (policy.empty()) return "";
  try {
    RandAugment::parse(policy);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

void visit(FieldVisitor& v, ViewSpec& o) {
  v.field("height", o.height, "pixels; 0: as model.image_size", at_least(0));
  v.field("width", o.width, "pixels; 0: as model.image_size", at_least(0));
  v.field("crop", o.crop, "how the view is cut out");
  v.field("scale", o.scale, "share of the image's area, lowest and highest", {0, 1, true});
  v.field("ratio", o.ratio, "width over height, lowest and highest", above(0));
  v.field("interpolation", o.interpolation, "filter of the resize");
  v.field("crop_pct", o.crop_pct, "for center: size / resized short side", {0, 1, true});
  v.field("flip", o.flip, "probability of a horizontal flip", between(0, 1));
  v.field("jitter", o.jitter, "probability of colour jitter", between(0, 1));
  v.field("brightness", o.brightness, "jitter strength", at_least(0));
  v.field("contrast", o.contrast, "jitter strength", at_least(0));
  v.field("saturation", o.saturation, "jitter strength", at_least(0));
  v.field("hue", o.hue, "jitter strength", between(0, 0.5));
  v.field("greyscale", o.greyscale, "probability of a grey view", between(0, 1));
  v.field("blur", o.blur, "probability of Gaussian blur", between(0, 1));
  v.field("blur_sigma", o.blur_sigma, "lowest and highest sigma in pixels", above(0));
  v.field("solarize", o.solarize, "probability of inverting bright pixels", between(0, 1));
  v.field("solarize_threshold",
          o.solarize_threshold,
          "pixels from here on are inverted",
          between(0, 256));
  v.field("rand_augment", o.rand_augment, "timm's config string, for example rand-m9-mstd0.5-inc1");
  v.check("scale", wrong_bounds(o.scale));
  v.check("ratio", wrong_bounds(o.ratio));
  v.check("blur_sigma", wrong_bounds(o.blur_sigma));
  v.check("rand_augment", wrong_rand_augment(o.rand_augment));
}

ViewSpec evaluation_view(int64_t height,
                         int64_t width,
                         double crop_pct,
                         Interpolation interpolation) {
  ViewSpec spec;
  spec.name = "eval";
  spec.height = height;
  spec.width = width;
  spec.crop = CropKind::center;
  spec.crop_pct = crop_pct;
  spec.interpolation = interpolation;
  spec.flip = 0;
  return spec;
}

void visit(FieldVisitor& v, NormalizeOptions& o) {
  v.field("mean", o.mean, "per channel, of pixels in [0, 1]", between(0, 1));
  v.field("std", o.std, "per channel, of pixels in [0, 1]", above(0));
}

at::Tensor normalize(const at::Tensor& pixels, const NormalizeOptions& options, at::Device device) {
  const bool grey = pixels.size(1) == 3 && options.mean.size() == 1;
  const int64_t channels = grey ? 1 : pixels.size(1);
  require(static_cast<int64_t>(options.mean.size()) == channels &&
              static_cast<int64_t>(options.std.size()) == channels,
          "normalize: {} channels but {} means and {} standard deviations",
          channels,
          options.mean.size(),
          options.std.size());
  const auto on_device = torch::dtype(torch::kFloat32).device(device);
  const double unit = pixels.scalar_type() == torch::kUInt8 ? 255 : 1;
  at::Tensor mean = torch::tensor(options.mean, on_device).view({1, channels, 1, 1});
  at::Tensor std = torch::tensor(options.std, on_device).view({1, channels, 1, 1});
  const at::Tensor there = pixels.to(device, /*non_blocking=*/true);
  const at::Tensor floats = (grey ? grey_of(there) : there)
                                .to(torch::kFloat32, false, false, torch::MemoryFormat::Contiguous);
  return floats.mul(1 / (unit * std)).sub_(mean / std);
}

at::Tensor denormalize(const at::Tensor& images, const NormalizeOptions& options) {
  const auto like_images = images.options().dtype(torch::kFloat32);
  const at::Tensor mean = torch::tensor(options.mean, like_images).view({1, -1, 1, 1});
  const at::Tensor std = torch::tensor(options.std, like_images).view({1, -1, 1, 1});
  return images * std + mean;
}

Batch first_images(Batch batch, int64_t count) {
  for (auto& view : batch.views) view = view.slice(0, 0, count);
  if (batch.labels.defined()) batch.labels = batch.labels.slice(0, 0, count);
  if (batch.indices.defined()) batch.indices = batch.indices.slice(0, 0, count);
  return batch;
}

}  // namespace previt
