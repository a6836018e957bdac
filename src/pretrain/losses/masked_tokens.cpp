#include "pretrain/losses/masked_tokens.h"

#include <torch/types.h>
#include <torch/utils.h>

namespace previt {

at::Tensor token_loss(const at::Tensor& logits, const at::Tensor& tokens) {
  return torch::cross_entropy_loss(logits.to(torch::kFloat32), tokens);
}

at::Tensor token_accuracy(const at::Tensor& logits, const at::Tensor& tokens) {
  const torch::NoGradGuard no_grad;
  return (logits.argmax(1) == tokens).to(torch::kFloat32).mean();
}

at::Tensor top_token_share(const at::Tensor& tokens, int64_t vocab_size) {
  const at::Tensor ones = torch::ones({tokens.size(0)}, tokens.device());
  const at::Tensor counts = torch::zeros({vocab_size}, tokens.device()).index_add_(0, tokens, ones);
  return counts.max() / tokens.size(0);
}

}  // namespace previt
