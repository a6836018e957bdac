#include "finetune/mixup.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "upload.h"

namespace previt {
namespace {

Mix draw_mix(const MixOptions& options, int64_t height, int64_t width, Draws& draws) {
  if (!options.on() || !draws.chance(options.mix_prob)) return {};
  const bool cut = options.cutmix > 0 && (options.mixup <= 0 || draws.chance(options.switch_prob));
  const double alpha = cut ? options.cutmix : options.mixup;
  const double lambda = draws.beta(alpha, alpha);
  if (!cut) return {.lambda = lambda, .box = {}};
  const int64_t y = draws.integer(0, height);
  const int64_t x = draws.integer(0, width);
  return Mix::cut(cutmix_box(height, width, lambda, y, x, options.cut_box), height, width);
}

// [1] or [B] λ as a column that broadcasts over `dims` dimensions.
at::Tensor lambdas(const std::vector<Mix>& mixes, int64_t dims, const at::Tensor& like) {
  std::vector<float> values;
  for (const Mix& mix : mixes) values.push_back(static_cast<float>(mix.lambda));
  std::vector<int64_t> shape(static_cast<size_t>(dims), 1);
  shape[0] = static_cast<int64_t>(values.size());
  return upload(torch::tensor(values).view(shape), like.device());
}

at::Tensor cut_out(const at::Tensor& images, const CutBox& box) {
  return images.slice(-2, box.top, box.bottom).slice(-1, box.left, box.right);
}

}  // namespace

void visit(FieldVisitor& v, MixOptions& o) {
  v.field("mixup", o.mixup, "alpha of mixup; 0: off", at_least(0));
  v.field("cutmix", o.cutmix, "alpha of CutMix; 0: off", at_least(0));
  v.field("mix_prob", o.mix_prob, "share of batches that are mixed", between(0, 1));
  v.field("switch_prob", o.switch_prob, "share of CutMix where both are on", between(0, 1));
  v.field("mix_mode", o.mix_mode, "one draw for the batch or for each image");
  v.field("cut_box", o.cut_box, "rounding of CutMix boxes of odd size");
}

CutBox cutmix_box(
    int64_t height, int64_t width, double lambda, int64_t y, int64_t x, BoxRounding rounding) {
  const double ratio = std::sqrt(1 - lambda);
  const auto span = [&](int64_t size, int64_t center) {
    const auto cut = static_cast<int64_t>(static_cast<double>(size) * ratio);
    const int64_t below = rounding == BoxRounding::timm_0_3_2 ? cut / 2 : (cut + 1) / 2;
    return std::pair{std::clamp<int64_t>(center - cut / 2, 0, size),
                     std::clamp<int64_t>(center + below, 0, size)};
  };
  const auto [top, bottom] = span(height, y);
  const auto [left, right] = span(width, x);
  return {top, bottom, left, right};
}

Mix Mix::cut(CutBox box, int64_t height, int64_t width) {
  return {.lambda = 1 - static_cast<double>(box.area()) / static_cast<double>(height * width),
          .box = box};
}

std::vector<Mix> draw_mixes(
    const MixOptions& options, int64_t batch, int64_t height, int64_t width, Draws& draws) {
  std::vector<Mix> mixes;
  const int64_t count = options.mix_mode == MixMode::image ? batch : 1;
  for (int64_t i = 0; i < count; ++i) mixes.push_back(draw_mix(options, height, width, draws));
  return mixes;
}

at::Tensor mix_images(const at::Tensor& images, const std::vector<Mix>& mixes) {
  const at::Tensor partners = images.flip(0);
  // A pasted image is not blended: its factor here is 1.
  std::vector<Mix> blends = mixes;
  for (Mix& mix : blends) {
    if (mix.box) mix.lambda = 1;
  }
  const bool blended =
      std::any_of(blends.begin(), blends.end(), [](const Mix& mix) { return mix.lambda != 1; });
  at::Tensor mixed = images.clone();
  if (blended) {
    const at::Tensor share = lambdas(blends, images.dim(), images);
    mixed = images * share + partners * (1 - share);
  }
  for (size_t i = 0; i < mixes.size(); ++i) {
    if (!mixes[i].box) continue;
    const auto of = [&](const at::Tensor& batch) {
      return cut_out(mixes.size() == 1 ? batch : batch[static_cast<int64_t>(i)], *mixes[i].box);
    };
    of(mixed).copy_(of(partners));
  }
  return mixed;
}

at::Tensor mix_targets(const at::Tensor& targets, const std::vector<Mix>& mixes) {
  const at::Tensor share = lambdas(mixes, targets.dim(), targets);
  return targets * share + targets.flip(0) * (1 - share);
}

}  // namespace previt
