#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/vit_options.h"

namespace previt {

class Block;
class LayerNorm;
class Linear;
class PatchEmbed;
struct PatchGrid;

/// The shared Vision Transformer (Dosovitskiy et al. 2021; docs/official_settings.md). Parameter
/// names are timm's. All forward functions take normalised float32 images [B, C, H, W] of any size
/// that is a multiple of the patch; positions are resized by `options.pos_resize` if the grid
/// differs. Wrong shapes throw Error.
///
/// Legend: B batch, N tokens (prefix tokens first: cls, dist, then registers), L patches, K kept
/// patches, D width, H heads. Tokens between blocks are float32; what a norm gives is in
/// compute_type().
class Vit : public torch::nn::Module {
 public:
  /// Resolves the options and initialises as init_weights_timm does.
  explicit Vit(VitOptions options);

  const VitOptions& options() const { return options_; }
  int64_t num_prefix_tokens() const { return options_.num_prefix_tokens(); }

  /// Linear layers, learned positions, cls and dist: trunc_normal 0.02. Registers: normal 1e-6.
  /// Biases: 0. Patch projection: the framework's default (timm, DINO, DINOv2).
  void init_weights_timm();
  /// Linear layers and the patch projection (as a matrix): xavier_uniform. cls and dist: normal
  /// 0.02 (mae:models_mae.py).
  void init_weights_mae();
  /// Linear layers, patch projection, cls and learned positions: trunc_normal 0.02 cut at ±0.02.
  /// Biases: 0. Then rescale_block_ (unilm:beit/modeling_pretrain.py, SimMIM).
  void init_weights_beit();

  /// Tokens before the first block, [B, N, D]. `patch_mask` [B, L] bool with `mask_token` [1, 1, D]
  /// replaces masked patch embeddings before positions are added (BEiT, iBOT, DINOv2).
  at::Tensor embed(const at::Tensor& images,
                   const at::Tensor& patch_mask = {},
                   const at::Tensor& mask_token = {});

  /// As embed, but only for the patches kept_ids [B, K] int64; the others are never embedded (MAE).
  /// Gives [B, prefix + K, D].
  at::Tensor embed_kept(const at::Tensor& images, const at::Tensor& kept_ids);

  /// All blocks, no final norm: [B, N, D] → [B, N, D]. grid: patches per column and row, for
  /// relative positions.
  at::Tensor run_blocks(at::Tensor tokens, int64_t grid_height, int64_t grid_width);

  /// As run_blocks, but the last block gives only the tokens `rows`: [R, D]. rows [R] int64 numbers
  /// the tokens of the whole batch, from 0 to B·N - 1.
  at::Tensor run_blocks_rows(at::Tensor tokens,
                             int64_t grid_height,
                             int64_t grid_width,
                             const at::Tensor& rows);

  /// The relative position bias [H, N, N] of every block; undefined for blocks without one.
  std::vector<at::Tensor> attention_biases(PatchGrid grid);

  /// norm(run_blocks(embed(images))), [B, N, D]; with pool avg there is no final norm.
  at::Tensor forward_features(const at::Tensor& images);

  /// Tokens [B, N, D] after each of the last n blocks, earliest first. With `normed` they pass the
  /// final norm; with pool avg that is fc_norm, the only norm then. Throws Error for an n that is
  /// below 1 or above the depth.
  std::vector<at::Tensor> intermediate(const at::Tensor& images, int64_t n, bool normed = true);

  /// [B, D] as options.pool says: norm(x)[:, cls], fc_norm(mean of patch tokens), or the mean of
  /// norm(x)'s patch tokens.
  at::Tensor pooled(const at::Tensor& images);
  at::Tensor pool(const at::Tensor& features) const;  ///< the same, from forward_features

  /// Logits [B, num_classes] of every head, float32: the head of the class token (or the mean),
  /// then that of the distillation token, if it has one. A distilled student trains the two apart.
  /// Throws Error without a head.
  std::vector<at::Tensor> head_logits(const at::Tensor& images);

  /// Logits [B, num_classes], float32: the mean over all heads (deit:models.py). Without a head,
  /// what pooled gives.
  at::Tensor forward(const at::Tensor& images);

  /// The attention weights of one block, float32 [B, H, N, N]; a negative `block` counts from the
  /// end. Throws Error if there is no such block.
  at::Tensor attention(const at::Tensor& images, int64_t block = -1);

  /// The same for every block in one pass, first block first. `use` gets one at a time, since all
  /// of them together may not fit in memory.
  void each_attention(const at::Tensor& images, const std::function<void(const at::Tensor&)>& use);

  /// Positions for a grid, [1, rows, D], resized by options.pos_resize; undefined without
  /// positions.
  at::Tensor positions(int64_t grid_height, int64_t grid_width) const;

  /// The final norm over the last dimension; with pool avg the identity.
  at::Tensor norm(const at::Tensor& tokens) const;

  /// Makes a new head on the parameters' device, and with dist_token a second one, unless
  /// `dist_head` is false: weights trunc_normal with init_std, bias 0. With n = 0 there is no head.
  void set_num_classes(int64_t n, double init_std = 0.02, bool dist_head = true);

  std::vector<std::shared_ptr<Block>>& blocks() { return blocks_; }

  /// Undefined if the options have none.
  at::Tensor cls_token, dist_token, pos_embed, register_tokens;
  std::shared_ptr<PatchEmbed> patch_embed;

 private:
  void register_tokens_and_positions();
  void register_blocks();
  void register_norms();
  void init_tokens();
  at::Tensor only_norm(const at::Tensor& tokens) const;  // norm, or with pool avg fc_norm
  // The first `count` tokens after the final norm, [B, count, D].
  at::Tensor class_tokens(const at::Tensor& images, int64_t count);

  // Patches [B, K, D] and their positions [1 or B, K, D] → [B, prefix + K, D].
  at::Tensor assemble(at::Tensor patches,
                      const at::Tensor& table,
                      const at::Tensor& patch_positions) const;
  const at::Tensor& relative_index(PatchGrid grid);

  VitOptions options_;
  std::vector<std::shared_ptr<Block>> blocks_;
  at::Tensor shared_relative_table_;
  std::shared_ptr<LayerNorm> norm_, fc_norm_;
  std::shared_ptr<Linear> head_, head_dist_;
  std::map<std::pair<int64_t, int64_t>, at::Tensor> relative_index_;  // by grid
};

}  // namespace previt
