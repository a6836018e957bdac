#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace previt {

// Words of a vocabulary of V as a prediction target. logits [R, V] of any float type, words int64
// [R]; R masked patches of a whole batch.

/// Mean cross-entropy, in float32.
at::Tensor word_loss(const at::Tensor& logits, const at::Tensor& words);

/// Share of the rows whose largest logit is the word's, a scalar.
at::Tensor word_accuracy(const at::Tensor& logits, const at::Tensor& words);

/// Share of the rows that the most frequent word gets, a scalar: near 1 there is nothing to learn.
at::Tensor top_word_share(const at::Tensor& words, int64_t vocabulary);

}  // namespace previt
