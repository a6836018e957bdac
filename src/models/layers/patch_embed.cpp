#include "models/layers/patch_embed.h"

#include "error.h"
#include "models/kernels/kernels.h"

namespace previt {

PatchEmbed::PatchEmbed(int64_t patch_size, int64_t in_channels, int64_t dim)
    : patch_size_(patch_size) {
  proj_ = register_module("proj", std::make_shared<Projection>());
  proj_->weight =
      proj_->register_parameter("weight", torch::zeros({dim, in_channels, patch_size, patch_size}));
  proj_->bias = proj_->register_parameter("bias", torch::zeros({dim}));
}

at::Tensor PatchEmbed::weight() const { return proj_->weight; }
at::Tensor PatchEmbed::bias() const { return proj_->bias; }

PatchGrid PatchEmbed::grid(const at::Tensor& images) const {
  const int64_t p = patch_size_;
  require(images.dim() == 4 && images.size(1) == proj_->weight.size(1) && images.size(2) % p == 0 &&
              images.size(3) % p == 0 && images.numel() > 0,
          "patch_embed: images are {} instead of [B, {}, H, W] with H and W multiples of {}",
          images.sizes().vec(),
          proj_->weight.size(1),
          p);
  return {images.size(2) / p, images.size(3) / p};
}

at::Tensor PatchEmbed::cut(const at::Tensor& images) const {
  const auto [height, width] = grid(images);
  const int64_t p = patch_size_;
  return images.reshape({images.size(0), images.size(1), height, p, width, p})
      .permute({0, 2, 4, 1, 3, 5});
}

at::Tensor PatchEmbed::project(const at::Tensor& pixels) const {
  // A patch has its pixels in the order of the flattened kernel: channel, row, column.
  return linear(pixels, proj_->weight.flatten(1), proj_->bias);
}

at::Tensor PatchEmbed::forward(const at::Tensor& images) const {
  return project(cut(images).flatten(3).flatten(1, 2));
}

at::Tensor PatchEmbed::forward_kept(const at::Tensor& images, const at::Tensor& ids) const {
  const at::Tensor patches = cut(images);
  const int64_t columns = patches.size(2);
  const at::Tensor image = torch::arange(ids.size(0), ids.options()).unsqueeze(1);
  const at::Tensor row = ids.div(columns, "floor");
  // `patches` is a view: only the chosen ones are copied.
  return project(patches.index({image, row, ids.remainder(columns)}).flatten(2));
}

}  // namespace previt
