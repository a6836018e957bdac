#pragma once

#include <memory>

#include "models/tokenizers/conv_autoencoder.h"
#include "models/tokenizers/tokenizer_kinds.h"
#include "models/tokenizers/vector_quantizer.h"

namespace previt {

/// Sizes of a Vqvae.
struct VqvaeNetworkOptions {
  ImageGrid image{.image_size = {112}, .patch_size = 8};
  ConvOptions network;
  CodebookOptions codebook{.codes = 512, .dim = 64, .normalize = false, .commitment = 0.25};
};
void visit(FieldVisitor& v, VqvaeNetworkOptions& o);

/// Vector-quantized autoencoder of pixels (van den Oord et al. 2017): the encoder gives a latent
/// for each cell of the grid, the nearest code replaces it, and the decoder reconstructs the image
/// from the codes.
///
/// Legend: B images, L cells, D width of a code.
class Vqvae final : public GridTokenizer {
 public:
  using Options = VqvaeNetworkOptions;
  static constexpr const char* kKind = "vqvae";

  explicit Vqvae(const VqvaeNetworkOptions& options);

  at::Tensor tokens(const at::Tensor& pixels) override;
  int64_t vocab_size() const override { return options_.codebook.codes; }

  /// Pixels in [0, 1], [B, C, H, W] → latents, float32 [B, L, D]. Throws Error for another size.
  at::Tensor encode(const at::Tensor& pixels) const;
  at::Tensor decode(const at::Tensor& codes) const;  ///< [B, L, D] → pixels, float32 [B, C, H, W]

  VectorQuantizer& quantizer() { return *quantizer_; }

 private:
  VqvaeNetworkOptions options_;
  std::shared_ptr<ConvEncoder> encoder_;
  std::shared_ptr<ConvDecoder> decoder_;
  std::shared_ptr<VectorQuantizer> quantizer_;
};

}  // namespace previt
