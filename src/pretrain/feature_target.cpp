#include "pretrain/feature_target.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "error.h"
#include "log.h"
#include "models/vit_macs.h"
#include "models/weights/load_model.h"
#include "models/weights/name_patterns.h"
#include "models/weights/weights.h"

namespace previt {
namespace {

at::Tensor resized(const at::Tensor& pixels, int64_t height, int64_t width) {
  if (pixels.size(2) == height && pixels.size(3) == width) return pixels;
  return torch::_upsample_bicubic2d_aa(pixels, {height, width}, /*align_corners=*/false)
      .clamp(0, 1);
}

}  // namespace

FeatureTarget::FeatureTarget(const std::string& checkpoint, int64_t heads) {
  std::vector<std::string> warnings;
  LoadedModel loaded = load_model(checkpoint, &warnings, {.backbone_only = true});
  for (const auto& warning : warnings) log_warning(warning);
  if (!loaded.choice.empty()) info("{}: {}", loaded.source, loaded.choice);
  VitOptions options = loaded.options;
  if (heads > 0) options.num_heads = heads;
  require(options.num_heads > 0,
          "{}: does not say how many attention heads it has; give vqkd.teacher_heads",
          loaded.source);
  options.num_classes = 0;
  options.drop_path = 0;
  vit_ = register_module("vit", std::make_shared<Vit>(options));
  // Only features are read, so classifiers are left out.
  std::erase_if(loaded.weights, [](const auto& item) { return is_classifier(item.first); });
  const LoadReport report = load_into(*vit_, loaded.weights);
  require(report.missing.empty() && report.unexpected.empty(),
          "{}: {} does not belong to its network, or is missing",
          loaded.source,
          fmt::join(report.missing.empty() ? report.unexpected : report.missing, ", "));
  for (auto& parameter : parameters()) parameter.set_requires_grad(false);
  normalize_ = loaded.normalize;
}

at::Tensor FeatureTarget::features(const at::Tensor& pixels, int64_t rows, int64_t columns) {
  const torch::NoGradGuard no_grad;
  const int64_t patch = vit_->options().patch_size;
  const at::Tensor seen =
      normalize(resized(pixels, rows * patch, columns * patch), normalize_, pixels.device());
  return vit_->intermediate(seen, 1)
      .front()
      .slice(1, vit_->num_prefix_tokens())
      .to(torch::kFloat32);
}

double FeatureTarget::macs(int64_t rows, int64_t columns) const {
  VitOptions all = vit_->options();
  all.pool = Pooling::avg;  // all tokens of the last block are read
  return pooled_macs(all, rows * all.patch_size, columns * all.patch_size);
}

}  // namespace previt
