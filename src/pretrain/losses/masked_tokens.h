#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "communicator.h"

namespace previt {

// Masked tokens as a prediction target, out of a vocabulary of V (Bao et al. 2022, equation 2).
// logits [R, V] of any float type, tokens int64 [R]; R masked patches of a whole batch.

/// Mean cross-entropy, in float32.
at::Tensor token_loss(const at::Tensor& logits, const at::Tensor& tokens);

/// Share of the rows whose largest logit is the token's, a scalar.
at::Tensor token_accuracy(const at::Tensor& logits, const at::Tensor& tokens);

/// How often each token is wanted in an optimizer step, in the micro-batches of all ranks.
class TokenCounts {
 public:
  explicit TokenCounts(int64_t vocab_size) : vocab_size_(vocab_size) {}
  void add(const at::Tensor& tokens);  ///< int64 [R]
  void reset() { counts_.reset(); }
  /// The share of the most frequent token, a scalar: near 1 there is nothing to learn. Collective.
  at::Tensor top_share(Communicator& all = world()) const;

 private:
  int64_t vocab_size_;
  at::Tensor counts_;  // float32 [V]
};

}  // namespace previt
