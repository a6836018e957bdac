#pragma once

#include <memory>

#include "models/tokenizers/conv_autoencoder.h"
#include "models/tokenizers/tokenizer_kinds.h"

namespace previt {

/// Sizes of a Dvae.
struct DvaeNetworkOptions {
  ImageGrid image{.image_size = {112}, .patch_size = 8};
  ConvOptions network;
  int64_t vocabulary = 8192;
};
void visit(FieldVisitor& v, DvaeNetworkOptions& o);

/// Discrete variational autoencoder (Ramesh et al. 2021), BEiT's tokenizer: for each cell of the
/// grid the encoder gives logits over the codebook, and the decoder reconstructs the image from
/// them. The networks are smaller than DALL-E's and have another shape.
///
/// Legend: B images, L = gh · gw cells, K codes.
class Dvae final : public GridTokenizer {
 public:
  using Options = DvaeNetworkOptions;
  static constexpr const char* kKind = "dvae";

  explicit Dvae(const DvaeNetworkOptions& options);

  at::Tensor tokens(const at::Tensor& pixels) override;
  int64_t vocab_size() const override { return options_.vocabulary; }

  /// Pixels in [0, 1], [B, C, H, W] → logits, float32 [B, K, gh, gw]. Throws Error for another
  /// size.
  at::Tensor logits(const at::Tensor& pixels) const;
  /// Weights of the codes [B, K, gh, gw], which add up to 1 → the distribution of the pixels,
  /// float32 [B, 2 C, H, W]: location, then log scale (losses/dvae_loss.h).
  at::Tensor decode(const at::Tensor& weights) const;
  /// Tokens int64 [B, L] → one-hot weights for decode, float32 [B, K, gh, gw].
  at::Tensor one_hot(const at::Tensor& tokens) const;

 private:
  DvaeNetworkOptions options_;
  std::shared_ptr<ConvEncoder> encoder_;
  std::shared_ptr<ConvDecoder> decoder_;
};

}  // namespace previt
