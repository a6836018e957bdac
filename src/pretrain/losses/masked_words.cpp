#include "pretrain/losses/masked_words.h"

#include <torch/types.h>
#include <torch/utils.h>

namespace previt {

at::Tensor word_loss(const at::Tensor& logits, const at::Tensor& words) {
  return torch::cross_entropy_loss(logits.to(torch::kFloat32), words);
}

at::Tensor word_accuracy(const at::Tensor& logits, const at::Tensor& words) {
  const torch::NoGradGuard no_grad;
  return (logits.argmax(1) == words).to(torch::kFloat32).mean();
}

at::Tensor top_word_share(const at::Tensor& words, int64_t vocabulary) {
  const at::Tensor ones = torch::ones({words.size(0)}, words.device());
  const at::Tensor counts = torch::zeros({vocabulary}, words.device()).index_add_(0, words, ones);
  return counts.max() / words.size(0);
}

}  // namespace previt
