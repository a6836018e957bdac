#pragma once

#include <torch/nn/module.h>

#include <array>
#include <memory>

namespace previt {

class Linear;

/// Which Mlp a block has: GeluMlp or SwiGluMlp.
enum class MlpKind { gelu, swiglu };
constexpr auto enum_names(MlpKind) { return std::array{"gelu", "swiglu"}; }

/// The position-wise network of a block, [B, N, D] → [B, N, D].
class Mlp : public torch::nn::Module {
 public:
  virtual at::Tensor forward(const at::Tensor& x) const = 0;
};

/// fc2(gelu(fc1(x))).
class GeluMlp final : public Mlp {
 public:
  GeluMlp(int64_t dim, int64_t hidden);
  at::Tensor forward(const at::Tensor& x) const override;

 private:
  std::shared_ptr<Linear> fc1_, fc2_;
};

/// DINOv2's gated network: w3(silu(a) · b) with [a, b] = w12(x).
class SwiGluMlp final : public Mlp {
 public:
  SwiGluMlp(int64_t dim, int64_t hidden);
  at::Tensor forward(const at::Tensor& x) const override;

 private:
  std::shared_ptr<Linear> w12_, w3_;
};

/// Hidden width: ⌊D·ratio⌋, for swiglu ⌊⌊D·ratio⌋·2/3⌋ rounded up to a multiple of 8
/// (dinov2:dinov2/layers/swiglu_ffn.py).
int64_t mlp_hidden_width(MlpKind kind, int64_t dim, double ratio);

/// The smallest ratio of at least hidden / dim for which ⌊D·ratio⌋ is `hidden`: the quotient alone
/// can lose a unit (3624 / 896).
double mlp_ratio_of(int64_t hidden, int64_t dim);

/// An Mlp of this kind with the hidden width above.
std::shared_ptr<Mlp> make_mlp(MlpKind kind, int64_t dim, double ratio);

}  // namespace previt
