#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "batch.h"
#include "models/vit.h"

namespace previt {

/// A frozen network whose features of patches another one learns to predict, as VQ-KD's tokenizer
/// does. It comes from any checkpoint that load_model reads. It sees the pictures at the size that
/// gives the wanted grid, normalised as in its own training.
class FeatureTarget : public torch::nn::Module {
 public:
  /// `heads`: attention heads, for files that do not say; 0: as the file says. Throws Error if
  /// neither says, or the weights don't fit the network.
  explicit FeatureTarget(const std::string& checkpoint, int64_t heads = 0);

  int64_t dim() const { return vit_->options().embed_dim; }

  /// pixels [B, C, H, W] in [0, 1] → features float32 [B, rows · columns, dim].
  at::Tensor features(const at::Tensor& pixels, int64_t rows, int64_t columns);

  /// Multiply-adds (MACs) of a forward pass over one image at this grid.
  double macs(int64_t rows, int64_t columns) const;

 private:
  std::shared_ptr<Vit> vit_;
  NormalizeOptions normalize_;
};

}  // namespace previt
