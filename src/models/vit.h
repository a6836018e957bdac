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

/// The shared Vision Transformer. Parameter names are timm's. All forward functions take normalised
/// float32 images [B, C, H, W] of any size that is a multiple of the patch; positions are resized
/// by `options.pos_resize` when the grid differs. Wrong shapes throw Error.
///
/// Legend: B batch, N tokens (prefix tokens first: cls, dist, then registers), L patches, K kept
/// patches, D width, H heads. Tokens between blocks are float32; normed results are in
/// compute_type().
class Vit : public torch::nn::Module {
 public:
  /// Resolves the options and initialises as init_weights_timm does.
  explicit Vit(VitOptions options);

  const VitOptions& options() const { return options_; }
  int64_t num_prefix_tokens() const { return options_.num_prefix_tokens(); }

  /// Linear layers, learned positions, cls and dist trunc_normal 0.02, registers normal 1e-6,
  /// biases 0, patch projection the framework's default (timm, DINO, DINOv2).
  void init_weights_timm();
  /// xavier_uniform for linear layers and the patch projection (as a matrix), cls and dist normal
  /// 0.02 (MAE).
  void init_weights_mae();
  /// Linear layers, the patch projection and all tokens trunc_normal 0.02 cut at ±0.02, biases 0,
  /// then rescale_block_ (BEiT, SimMIM).
  void init_weights_beit();

  /// Tokens before the first block, [B, N, D]. `patch_mask` [B, L] bool with `mask_token` [1, 1, D]
  /// replaces masked patch embeddings before positions are added (BEiT, iBOT, DINOv2).
  at::Tensor embed(const at::Tensor& images,
                   const at::Tensor& patch_mask = {},
                   const at::Tensor& mask_token = {});

  /// As embed, for only the patches kept_ids [B, K] int64, without embedding the others (MAE): [B,
  /// prefix + K, D].
  at::Tensor embed_kept(const at::Tensor& images, const at::Tensor& kept_ids);

  /// All blocks, no final norm. grid: patches per column and row, for relative positions.
  at::Tensor run_blocks(at::Tensor tokens, int64_t grid_height, int64_t grid_width);

  /// As run_blocks, of the last block only the tokens `rows` [R] int64, counted through the batch
  /// (B·N in all): [R, D].
  at::Tensor run_blocks_rows(at::Tensor tokens,
                             int64_t grid_height,
                             int64_t grid_width,
                             const at::Tensor& rows);

  /// The relative position bias of every block, [H, N, N], undefined where it has none.
  std::vector<at::Tensor> attention_biases(PatchGrid grid);

  /// norm(run_blocks(embed(images))), [B, N, D]; with pool avg there is no final norm.
  at::Tensor forward_features(const at::Tensor& images);

  /// Tokens after each of the last n blocks, earliest first; with `normed`, through the final norm,
  /// or with pool avg through the one that follows the mean, which is the only one.
  std::vector<at::Tensor> intermediate(const at::Tensor& images, int64_t n, bool normed = true);

  /// [B, D] as options.pool says: norm(x)[:, cls], or fc_norm(mean of patch tokens).
  at::Tensor pooled(const at::Tensor& images);
  at::Tensor pool(const at::Tensor& features) const;  ///< from forward_features

  /// Logits [B, num_classes] of every head, float32: that of the class token (or the mean), then
  /// that of the distillation token. A distilled student trains them apart.
  std::vector<at::Tensor> head_logits(const at::Tensor& images);

  /// Logits [B, num_classes], float32, the mean of those of all heads (deit:models.py); without a
  /// head what pooled gives.
  at::Tensor forward(const at::Tensor& images);

  /// Attention of one block (negative counts from the end), float32 [B, H, N, N], whatever kernel
  /// the other blocks run.
  at::Tensor attention(const at::Tensor& images, int64_t block = -1);

  /// That of every block from one pass, given to `use` first block first: for large images all of
  /// them together are more than fits.
  void each_attention(const at::Tensor& images, const std::function<void(const at::Tensor&)>& use);

  /// Positions for a grid, [1, rows, D], resized by options.pos_resize; undefined without
  /// positions.
  at::Tensor positions(int64_t grid_height, int64_t grid_width) const;

  /// Final norm (or identity with pool avg).
  at::Tensor norm(const at::Tensor& tokens) const;

  /// A new head (two with dist_token) on the parameters' device, trunc_normal std, zero bias; 0
  /// removes it.
  void set_num_classes(int64_t n, double init_std = 0.02);

  std::vector<std::shared_ptr<Block>>& blocks() { return blocks_; }

  /// Undefined where the options have none.
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
