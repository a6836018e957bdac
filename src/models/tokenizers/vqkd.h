#pragma once

#include <memory>

#include "models/tokenizers/tokenizer_kinds.h"
#include "models/tokenizers/vector_quantizer.h"
#include "models/vit.h"

namespace previt {

/// Sizes of a Vqkd.
struct VqkdNetworkOptions {
  VitOptions encoder;         ///< resolved
  int64_t decoder_depth = 3;  ///< blocks, as wide as the encoder's
  int64_t teacher_dim = 768;  ///< width of the features that are predicted
  CodebookOptions codebook;
};
void visit(FieldVisitor& v, VqkdNetworkOptions& o);

/// Two linear layers with a tanh between, in float32.
class TaskLayer;

/// BEiT v2's tokenizer, vector-quantized knowledge distillation (Peng et al. 2022;
/// beit2:modeling_vqkd.py): a ViT gives a latent for each patch, the code of the highest cosine
/// similarity replaces it, and a small ViT predicts a teacher's features from the codes. Parameters
/// have the official names, except for the codebook's and for the norms, which are `norm` here and
/// fc_norm in the official code.
///
/// Legend: B images, L patches, D width of a code, T width of the teacher's features.
class Vqkd final : public GridTokenizer {
 public:
  using Options = VqkdNetworkOptions;
  static constexpr const char* kKind = "vqkd";

  explicit Vqkd(const VqkdNetworkOptions& options);

  at::Tensor tokens(const at::Tensor& pixels) override;
  int64_t vocab_size() const override { return options_.codebook.codes; }

  at::Tensor encode(const at::Tensor& pixels);  ///< pixels in [0, 1] → latents, float32 [B, L, D]
  at::Tensor decode(const at::Tensor& codes);   ///< [B, L, D] → features, float32 [B, L, T]

  VectorQuantizer& quantizer() { return *quantizer_; }
  Vit& encoder() { return *encoder_; }
  Vit& decoder() { return *decoder_; }

 private:
  VqkdNetworkOptions options_;
  std::shared_ptr<Vit> encoder_, decoder_;
  std::shared_ptr<TaskLayer> encode_task_, decode_task_;
  std::shared_ptr<VectorQuantizer> quantizer_;
};

}  // namespace previt
