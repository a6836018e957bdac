#pragma once

#include <torch/nn/module.h>

#include <array>
#include <memory>

namespace previt {

class Linear;

/// Which of queries, keys and values have a bias. qv: queries and values, as parameters of their
/// own, `q_bias` and `v_bias` (BEiT).
enum class QkvBias { full, qv, none };
constexpr auto enum_names(QkvBias) { return std::array{"full", "qv", "none"}; }

/// Multi-head self-attention (Vaswani et al. 2017). Parameters: `qkv` (rows q, then k, then v) and
/// `proj`. With QkvBias::qv there are `q_bias` and `v_bias` instead of qkv.bias. With relative
/// positions of its own there is `relative_position_bias_table` [rows, H], which the Vit turns into
/// `bias`.
class Attention : public torch::nn::Module {
 public:
  /// width: of q, of k and of v, all heads together. relative_rows: rows of the table; 0: none.
  Attention(int64_t dim, int64_t heads, int64_t width, QkvBias qkv_bias, int64_t relative_rows);

  /// x [B, N, D] → [B, M, D]: the outputs of the tokens from first_query up to the one before
  /// end_query, which attend to all tokens. If they are few, no keys and values are made. bias:
  /// undefined or broadcastable to [B, H, N, N].
  at::Tensor forward(const at::Tensor& x,
                     const at::Tensor& bias,
                     int64_t first_query,
                     int64_t end_query) const;

  /// The outputs of chosen tokens only, [R, D]. rows [R] int64 numbers the tokens of the whole
  /// batch, from 0 to B·N - 1. Attention is computed for all tokens; only the chosen ones are
  /// projected.
  at::Tensor forward_rows(const at::Tensor& x,
                          const at::Tensor& bias,
                          const at::Tensor& rows) const;

  /// The attention weights themselves, float32 [B, H, N, N].
  at::Tensor weights(const at::Tensor& x, const at::Tensor& bias) const;

  /// Zeroes q_bias, v_bias and the table.
  void reset();

  at::Tensor q_bias, v_bias, relative_position_bias_table;

 private:
  at::Tensor packed_bias() const;  // [3·width] or undefined

  int64_t heads_, width_;
  std::shared_ptr<Linear> qkv_, proj_;
};

}  // namespace previt
