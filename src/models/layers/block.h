#pragma once

#include <torch/nn/module.h>

#include <limits>
#include <memory>

#include "models/layers/attention.h"
#include "models/layers/drop_path.h"
#include "models/layers/mlp.h"

namespace previt {

class LayerNorm;
class LayerScale;

/// Options of one block.
struct BlockOptions {
  int64_t dim = 0, heads = 0;
  int64_t attention_dim = 0;  ///< of all heads together; 0: dim
  double mlp_ratio = 4;
  MlpKind mlp = MlpKind::gelu;
  QkvBias qkv_bias = QkvBias::full;
  double layer_scale = 0;  ///< initial value; 0: none
  double drop_path = 0;    ///< this block's own rate, in training mode
  double norm_eps = 1e-6;
  int64_t relative_rows = 0;  ///< rows of a relative position table of its own; 0: none
};

/// Pre-norm Transformer block: x + ls1(attn(norm1(x))), then x + ls2(mlp(norm2(x))). The residual
/// stream stays float32; branches compute in compute_type().
class Block : public torch::nn::Module {
 public:
  static constexpr int64_t kAllTokens = std::numeric_limits<int64_t>::max();

  explicit Block(const BlockOptions& options);

  /// x [B, N, D] → [B, M, D]: the tokens from first_query up to the one before end_query. Only
  /// these are computed (queries, projection, MLP), but they attend to all N; they equal these
  /// tokens of the whole output. bias: undefined, or added to the attention logits, broadcastable
  /// to [B, H, N, N].
  at::Tensor forward(const at::Tensor& x,
                     const at::Tensor& bias = {},
                     int64_t first_query = 0,
                     int64_t end_query = kAllTokens);

  /// As forward, for any tokens, whose number may differ from image to image: rows [R] int64
  /// numbers the tokens of the whole batch, from 0 to B·N - 1. Gives [R, D].
  at::Tensor forward_rows(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& rows);

  /// From now on only x and bias are kept for backward, which computes the block once more
  /// (activation_checkpoint.h). The block must live until then. All results stay as they are.
  void set_checkpointed(bool checkpointed) { checkpointed_ = checkpointed; }

  /// Attention weights of this block, float32 [B, H, N, N].
  at::Tensor attention_weights(const at::Tensor& x, const at::Tensor& bias = {}) const;

  Attention& attention() { return *attn_; }
  double drop_path_rate() const { return drop_path_; }

 private:
  // forward and forward_rows, with all that backward needs in the graph.
  at::Tensor compute(const at::Tensor& x,
                     const at::Tensor& bias,
                     int64_t first_query,
                     int64_t end_query) const;
  at::Tensor compute_rows(const at::Tensor& x,
                          const at::Tensor& bias,
                          const at::Tensor& rows) const;

  // What drop path leaves of a branch of x [B, ...], and of a branch of single rows, given the
  // image of each: rows of an image are dropped together.
  DropPath draw(const at::Tensor& x) const;
  DropPath draw_rows(const at::Tensor& x, const at::Tensor& image_of_row) const;

  // x with what attention gave added, and after it the MLP.
  at::Tensor add_both(const at::Tensor& x,
                      const at::Tensor& attended,
                      const DropPath& first,
                      const DropPath& second) const;

  // x plus the branch times its LayerScale and the factors of its images; with drop.kept, the
  // branch is of these images only.
  static at::Tensor add(const at::Tensor& x,
                        const at::Tensor& branch,
                        const std::shared_ptr<LayerScale>& scale,
                        const DropPath& drop);

  double drop_path_;
  bool checkpointed_ = false;
  std::shared_ptr<LayerNorm> norm1_, norm2_;
  std::shared_ptr<Attention> attn_;
  std::shared_ptr<Mlp> mlp_;
  std::shared_ptr<LayerScale> ls1_, ls2_;
};

/// Block::set_checkpointed for the first `count` blocks, or all if it is negative, of every list of
/// blocks in `network`.
void checkpoint_blocks(const torch::nn::Module& network, int64_t count);

}  // namespace previt
