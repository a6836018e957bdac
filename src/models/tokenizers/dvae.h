#pragma once

#include <memory>

#include "models/tokenizers/conv_autoencoder.h"
#include "models/tokenizers/tokenizer_kinds.h"

namespace previt {

struct DvaeNetworkOptions {
  ImageGrid image{.image_size = {112}, .patch_size = 8};
  ConvOptions network;
  int64_t vocabulary = 8192;
};
void visit(FieldVisitor& v, DvaeNetworkOptions& o);

/// Discrete variational autoencoder (Ramesh et al. 2021), BEiT's tokenizer: for each cell of the
/// grid the encoder gives logits over the vocabulary, and the decoder draws the picture from them.
/// The networks are smaller than DALL-E's and shaped otherwise.
///
/// Legend: B images, K words, gh · gw cells.
class Dvae final : public GridTokenizer {
 public:
  using Options = DvaeNetworkOptions;
  static constexpr const char* kKind = "dvae";

  explicit Dvae(const DvaeNetworkOptions& options);

  at::Tensor tokens(const at::Tensor& pixels) override;
  int64_t vocabulary() const override { return options_.vocabulary; }

  /// pixels in [0, 1] → logits, float32 [B, K, gh, gw].
  at::Tensor logits(const at::Tensor& pixels) const;
  /// Weights of the words [B, K, gh, gw] (of 1 together) → what the decoder says of the pixels,
  /// float32 [B, 2 C, H, W]: location, then log scale (losses/dvae_loss.h).
  at::Tensor decode(const at::Tensor& weights) const;
  /// Words int64 [B, L] as weights of 0 and 1 for decode.
  at::Tensor one_hot(const at::Tensor& words) const;

 private:
  DvaeNetworkOptions options_;
  std::shared_ptr<ConvEncoder> encoder_;
  std::shared_ptr<ConvDecoder> decoder_;
};

}  // namespace previt
