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

void TokenCounts::add(const at::Tensor& tokens) {
  if (!counts_.defined()) counts_ = torch::zeros({vocab_size_}, tokens.device());
  counts_ = counts_.index_add(0, tokens, torch::ones({tokens.size(0)}, tokens.device()));
}

at::Tensor TokenCounts::top_share(Communicator& all) const {
  const at::Tensor counts = counts_.clone();
  all.sum(counts);
  return counts.max() / counts.sum();
}

}  // namespace previt
