#include "finetune/pictures/pca.h"

#include <torch/types.h>

#include <algorithm>

#include "error.h"

namespace previt {
namespace {

// True for the cells at the border of each picture.
at::Tensor border(int64_t images, int64_t height, int64_t width) {
  at::Tensor cells = torch::ones({images, height, width}, torch::kBool);
  if (height > 2 && width > 2) cells.slice(1, 1, height - 1).slice(2, 1, width - 1).fill_(false);
  return cells.flatten();
}

// Each column stretched to [0, 1].
at::Tensor stretched(const at::Tensor& columns) {
  const at::Tensor least = std::get<0>(columns.min(0, true));
  const at::Tensor range = (std::get<0>(columns.max(0, true)) - least).clamp_min(1e-12);
  return (columns - least) / range;
}

}  // namespace

at::Tensor Pca::project(const at::Tensor& rows) const {
  return torch::mm(rows.to(torch::kFloat32) - mean, components.t());
}

Pca fit_pca(const at::Tensor& rows, int64_t k) {
  require(rows.dim() == 2 && rows.size(0) >= 2, "PCA: needs two rows or more");
  require(k >= 1 && k <= rows.size(1), "PCA: {} of {} components", k, rows.size(1));
  const at::Tensor values = rows.to(torch::kFloat64);
  const at::Tensor mean = values.mean(0);
  const at::Tensor centred = values - mean;
  const at::Tensor covariance =
      torch::mm(centred.t(), centred) / static_cast<double>(rows.size(0) - 1);
  const auto [variances, vectors] = torch::linalg_eigh(covariance);
  at::Tensor components = vectors.flip(1).slice(1, 0, k).t().contiguous();
  const at::Tensor largest = components.abs().argmax(1, true);
  components = components * components.gather(1, largest).sign();
  const at::Tensor whole = variances.clamp_min(0).sum().clamp_min(1e-300);
  return {.mean = mean.to(torch::kFloat32),
          .components = components.to(torch::kFloat32),
          .explained = variances.flip(0).slice(0, 0, k).clamp_min(0) / whole};
}

at::Tensor patch_colors(const at::Tensor& patches) {
  const int64_t images = patches.size(0), height = patches.size(1), width = patches.size(2);
  const at::Tensor rows = patches.reshape({-1, patches.size(3)});
  at::Tensor first = fit_pca(rows, 1).project(rows).select(1, 0);
  const at::Tensor edge = border(images, height, width);
  if (first.masked_select(edge).mean().item<double>() > 0) first = -first;
  at::Tensor object = (first > 0).nonzero().squeeze(1);
  // Too few patches for three components: colour them all.
  if (object.size(0) < 4) object = torch::arange(rows.size(0));
  const at::Tensor inside = rows.index_select(0, object);
  const at::Tensor colors =
      stretched(fit_pca(inside, std::min<int64_t>(3, rows.size(1))).project(inside));
  at::Tensor painted = torch::zeros({rows.size(0), 3});
  painted.slice(1, 0, colors.size(1)).index_copy_(0, object, colors);
  return painted.view({images, height, width, 3}).permute({0, 3, 1, 2}).contiguous();
}

}  // namespace previt
