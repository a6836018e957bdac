#pragma once

#include <ATen/core/Tensor.h>

namespace previt {

// The pieces of DALL-E's dVAE loss (Ramesh et al. 2021, section 2.1 and appendix A). All of it is
// float32.
//
// Legend: B images, C channels, K codes, gh · gw cells.

/// softmax((logits + Gumbel noise) / temperature) over the codes: a relaxed sample of one code,
/// which becomes exact as the temperature falls (Jang et al. 2017). logits [B, K, gh, gw] → the
/// same shape. The noise comes from torch's default generator.
at::Tensor gumbel_softmax(const at::Tensor& logits, double temperature);

/// KL divergence of softmax(logits) from the uniform distribution, Σ q ln (q K) in nats, mean over
/// cells; scalar.
at::Tensor kl_to_uniform(const at::Tensor& logits);

/// Negative log-likelihood of pixels [B, C, H, W] in [0, 1] under a logit-Laplace distribution with
/// locations and log scales `parameters` [B, 2 C, H, W], mean over values; scalar. Pixels are
/// squeezed into [0.1, 0.9], away from where the logit is infinite.
at::Tensor logit_laplace_loss(const at::Tensor& pixels, const at::Tensor& parameters);

/// The pixels that `parameters` mean, in [0, 1]: [B, C, H, W].
at::Tensor logit_laplace_pixels(const at::Tensor& parameters);

}  // namespace previt
