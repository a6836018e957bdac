#include "finetune/pictures/attention_maps.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "error.h"
#include "random.h"

namespace previt {
namespace {

// weights [B, H, N, N] → [B, H, h, w].
at::Tensor to_patches(const Vit& vit, const at::Tensor& weights, const at::Tensor& images) {
  const int64_t prefix = vit.num_prefix_tokens(), patch = vit.options().patch_size;
  const at::Tensor rows =
      vit.options().cls_token ? weights.select(2, 0) : weights.slice(2, prefix).mean(2);
  return rows.slice(2, prefix).reshape(
      {images.size(0), weights.size(1), images.size(2) / patch, images.size(3) / patch});
}

at::Tensor enlarged(const at::Tensor& mask, int64_t patch) {
  return mask.repeat_interleave(patch, 0).repeat_interleave(patch, 1);
}

at::Tensor random_mask(const at::Tensor& like, Draws& draws) {
  const auto order = random_permutation(like.numel(), draws);
  at::Tensor mask = torch::zeros({like.numel()}, torch::kBool);
  for (int64_t i = 0; i < like.sum().item<int64_t>(); ++i)
    mask[order[static_cast<size_t>(i)]] = true;
  return mask.view_as(like);
}

// A box in the picture's centre, of its shape and with `share` of its area.
at::Tensor centre_box(int64_t height, int64_t width, double share) {
  const auto cut = [&](int64_t side) {
    return std::clamp<int64_t>(std::lround(static_cast<double>(side) * std::sqrt(share)), 1, side);
  };
  const int64_t rows = cut(height), columns = cut(width);
  at::Tensor mask = torch::zeros({height, width}, torch::kBool);
  mask.narrow(0, (height - rows) / 2, rows).narrow(1, (width - columns) / 2, columns).fill_(true);
  return mask;
}

}  // namespace

at::Tensor attention_maps(Vit& vit, const at::Tensor& images, int64_t block) {
  const torch::NoGradGuard no_grad;
  return to_patches(vit, vit.attention(images, block), images);
}

at::Tensor attention_rollout(Vit& vit, const at::Tensor& images) {
  const torch::NoGradGuard no_grad;
  at::Tensor rolled;
  vit.each_attention(images, [&](const at::Tensor& weights) {
    const at::Tensor mean = weights.mean(1);
    // The identity stands for the residual path.
    const at::Tensor mixed = 0.5 * (mean + torch::eye(mean.size(1), mean.options()));
    rolled = rolled.defined() ? torch::bmm(mixed, rolled) : mixed;
  });
  return to_patches(vit, rolled.unsqueeze(1), images);
}

at::Tensor mass_mask(const at::Tensor& maps, double share) {
  require(share > 0 && share <= 1, "attention mask: a share of {} is not in (0, 1]", share);
  const at::Tensor flat = maps.flatten(-2).to(torch::kFloat64);
  const auto [values, order] = flat.sort(/*stable=*/true, -1, /*descending=*/false);
  const at::Tensor mass = (values / values.sum(-1, true)).cumsum(-1);
  // With a share of 1 all is kept, however the sum is rounded.
  const at::Tensor kept = share == 1 ? torch::ones_like(mass, torch::kBool) : mass > 1 - share;
  return torch::zeros_like(kept).scatter_(-1, order, kept).view(maps.sizes());
}

double jaccard(const at::Tensor& a, const at::Tensor& b) {
  const double both = (a & b).sum().item<double>(), either = (a | b).sum().item<double>();
  return either > 0 ? both / either : 0;
}

MaskScore score_masks(const at::Tensor& masks,
                      const at::Tensor& truth,
                      int64_t patch,
                      uint64_t seed) {
  require(masks.dim() == 3 && truth.dim() == 2 && truth.size(0) == masks.size(1) * patch &&
              truth.size(1) == masks.size(2) * patch,
          "attention masks {} and an object mask {} do not fit together",
          masks.sizes().vec(),
          truth.sizes().vec());
  Random draws(seed);
  MaskScore score;
  for (int64_t head = 0; head < masks.size(0); ++head) {
    const at::Tensor mask = masks[head].cpu();
    const double share = mask.to(torch::kFloat64).mean().item<double>();
    score.heads.push_back(jaccard(enlarged(mask, patch), truth));
    score.best = std::max(score.best, score.heads.back());
    score.random =
        std::max(score.random, jaccard(enlarged(random_mask(mask, draws), patch), truth));
    score.centre_box =
        std::max(score.centre_box, jaccard(centre_box(truth.size(0), truth.size(1), share), truth));
  }
  return score;
}

}  // namespace previt
