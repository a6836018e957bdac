#pragma once

#include <torch/nn/module.h>

#include <array>
#include <memory>

namespace previt {

class Linear;

/// Which of queries, keys and values have a bias; qv: no keys, as in BEiT, by parameters of their own
/// (`q_bias`, `v_bias`).
enum class QkvBias { full, qv, none };
constexpr auto enum_names(QkvBias) { return std::array{"full", "qv", "none"}; }

/// Multi-head self-attention. Parameters: `qkv` (rows q, k, v), `proj`; with QkvBias::qv `q_bias`
/// and `v_bias` instead of qkv.bias, the key having none (BEiT); with relative positions of its own
/// `relative_position_bias_table`, which the Vit turns into `bias`.
class Attention : public torch::nn::Module {
 public:
  /// width: of q, k and v, all heads together. relative_rows: rows of
  /// the table, 0 for none.
  Attention(int64_t dim, int64_t heads, int64_t width, QkvBias qkv_bias, int64_t relative_rows);

  /// x [B, N, D] → [B, M, D]: the outputs of the tokens from first_query to before end_query, which
  /// attend to all, few of them without making keys and values. bias: undefined or broadcastable to
  /// [B, H, N, N].
  at::Tensor forward(const at::Tensor& x,
                     const at::Tensor& bias,
                     int64_t first_query,
                     int64_t end_query) const;

  /// The outputs of chosen tokens only, [R, D]: rows [R] int64 counts tokens through the batch, B·N
  /// in all. All of them attend; only the chosen are projected.
  at::Tensor forward_rows(const at::Tensor& x,
                          const at::Tensor& bias,
                          const at::Tensor& rows) const;

  /// The attention itself, float32 [B, H, N, N].
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
