#pragma once

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <string>
#include <vector>

#include "models/vit_options.h"

namespace previt {

class Block;

/// The shared Vision Transformer. Parameter names are timm's. All forward functions take normalised
/// float32 images [B, C, H, W] of any size that is a multiple of the patch; positions are resized by
/// `options.pos_resize` when the grid differs.
///
/// Legend: B batch, N tokens (prefix tokens first: cls, then registers), L patches, K kept patches,
/// D width, H heads.
class Vit : public torch::nn::Module {
 public:
  explicit Vit(VitOptions options);

  const VitOptions& options() const { return options_; }
  int64_t num_prefix_tokens() const { return options_.num_prefix_tokens(); }

  /// Initialises as timm / DINO do (trunc_normal 0.02) or as MAE does (xavier_uniform, sin-cos positions).
  void init_weights_timm();
  void init_weights_mae();

  /// Tokens before the first block, [B, N, D]. `patch_mask` [B, L] bool with `mask_token` [1, 1, D]
  /// replaces masked patch embeddings before positions are added (BEiT, iBOT, DINOv2).
  at::Tensor embed(const at::Tensor& images, const at::Tensor& patch_mask = {},
                   const at::Tensor& mask_token = {});

  /// As embed, for only the patches kept_ids [B, K] int64, without embedding the others (MAE): [B, prefix + K, D].
  at::Tensor embed_kept(const at::Tensor& images, const at::Tensor& kept_ids);

  /// All blocks, no final norm. grid: patches per column and row, for relative positions.
  at::Tensor run_blocks(at::Tensor tokens, int64_t grid_height, int64_t grid_width);

  /// norm(run_blocks(embed(images))), [B, N, D]; with pool avg there is no final norm.
  at::Tensor forward_features(const at::Tensor& images);

  /// Tokens after each of the last n blocks, earliest first; with `normed`, through the final norm.
  std::vector<at::Tensor> intermediate(const at::Tensor& images, int64_t n, bool normed = true);

  /// [B, D] as options.pool says: norm(x)[:, cls], or fc_norm(mean of patch tokens).
  at::Tensor pooled(const at::Tensor& images);
  at::Tensor pool(const at::Tensor& features) const;  ///< from forward_features

  /// Logits [B, num_classes].
  at::Tensor forward(const at::Tensor& images);

  /// Attention of one block (negative counts from the end), float32 [B, H, N, N], whatever kernel the
  /// other blocks run.
  at::Tensor attention(const at::Tensor& images, int64_t block = -1);

  /// Positions for a grid, [1, rows, D], resized by options.pos_resize.
  at::Tensor positions(int64_t grid_height, int64_t grid_width);

  /// Final norm (or identity with pool avg).
  at::Tensor norm(const at::Tensor& tokens) const;

  void set_num_classes(int64_t n, double init_std);  ///< a new head, trunc_normal std, zero bias
  std::vector<std::shared_ptr<Block>>& blocks() { return blocks_; }

  at::Tensor cls_token, pos_embed, register_tokens;

 private:
  VitOptions options_;
  std::vector<std::shared_ptr<Block>> blocks_;
  // … patch_embed, norm, fc_norm, head, relative positions
};

}  // namespace previt
