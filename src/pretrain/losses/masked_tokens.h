#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

// Masked tokens as a prediction target, out of a vocabulary of V (Bao et al. 2022, equation 2).
// logits [R, V] of any float type, tokens int64 [R]; R masked patches of a whole batch.

/// Mean cross-entropy, in float32.
at::Tensor token_loss(const at::Tensor& logits, const at::Tensor& tokens);

/// Share of the rows whose largest logit is the token's, a scalar.
at::Tensor token_accuracy(const at::Tensor& logits, const at::Tensor& tokens);

/// Share of the rows that the most frequent token gets, a scalar: near 1 there is nothing to learn.
at::Tensor top_token_share(const at::Tensor& tokens, int64_t vocab_size);

}  // namespace previt
