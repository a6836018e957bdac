#pragma once

#include <torch/nn/module.h>

#include <memory>

namespace previt {

/// The size of an image in patches.
struct PatchGrid {
  int64_t height, width;  ///< patches per column and row
};

/// Cuts images into patches of p × p pixels and projects each linearly: a convolution of stride p,
/// done as one matmul. Parameters `proj.weight` [D, C, p, p] and `proj.bias` [D].
class PatchEmbed : public torch::nn::Module {
 public:
  PatchEmbed(int64_t patch_size, int64_t in_channels, int64_t dim);

  /// Throws Error for anything but [B, C, H, W] with H and W multiples of the patch.
  PatchGrid grid(const at::Tensor& images) const;

  /// images [B, C, H, W] → [B, L, D], patches row by row.
  at::Tensor forward(const at::Tensor& images) const;

  /// Only patches `ids` [B, K] int64 → [B, K, D]; the pixels of the others are never read.
  at::Tensor forward_kept(const at::Tensor& images, const at::Tensor& ids) const;

  at::Tensor weight() const;
  at::Tensor bias() const;

 private:
  struct Projection : torch::nn::Module {  // gives the parameters their names
    at::Tensor weight, bias;
  };
  at::Tensor cut(const at::Tensor& images) const;  // view [B, gh, gw, C, p, p]
  at::Tensor project(const at::Tensor& pixels) const;

  int64_t patch_size_;
  std::shared_ptr<Projection> proj_;
};

}  // namespace previt
