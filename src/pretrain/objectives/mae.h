#pragma once

#include <array>
#include <memory>
#include <vector>

#include "models/weights/load_model.h"
#include "pretrain/losses/masked_pixels.h"
#include "pretrain/masks/random_masking.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

class Block;
class LayerNorm;
class Linear;

/// Positions of the decoder: MAE's fixed table, or a parameter.
enum class DecoderPositions { sincos, learned };
constexpr auto enum_names(DecoderPositions) { return std::array{"sincos", "learned"}; }

/// How linear layers start: Xavier, or PyTorch's own default.
enum class MaeInit { mae, framework };
constexpr auto enum_names(MaeInit) { return std::array{"mae", "framework"}; }

/// The narrow transformer that predicts the masked pixels. It takes qkv_bias and norm_eps from
/// `model`.
struct MaeDecoderOptions {
  int64_t embed_dim = 512, depth = 8, num_heads = 16;
  double mlp_ratio = 4;
  DecoderPositions pos_embed = DecoderPositions::sincos;
  bool project = true;  ///< decoder_embed; false: the decoder gets the encoder's tokens as they are
  bool norm = true;     ///< decoder_norm before the prediction
};
void visit(FieldVisitor& v, MaeDecoderOptions& o);

/// The section `mae:` of a recipe.
struct MaeMethodOptions {
  double mask_ratio = 0.75;
  bool norm_pix_loss = true;
  PixelOrder pixel_order = PixelOrder::channel_last;  ///< of a predicted patch
  MaeInit init = MaeInit::mae;
  MaeDecoderOptions decoder;
};
void visit(FieldVisitor& v, MaeMethodOptions& o);

/// The sections `mae:` and `augment:` of a recipe; the defaults are mae:PRETRAIN.md's.
struct MaeOptions {
  MaeMethodOptions mae;
  ViewSpec augment{.height = 0, .width = 0};  ///< sizes of 0: as model.image_size

  static void set_defaults(RunOptions& run);
  void lay_out(const NamedTensors& own, LoadedModel& model) const;
};
void visit(FieldVisitor& v, MaeOptions& o);

/// Masked autoencoder (He et al. 2022; facebookresearch/mae models_mae.py). The encoder sees only
/// the visible patches; the decoder gets mask tokens for the others and predicts their pixels.
/// Decoder parameters have the official names, the encoder's are timm's under `encoder.`.
///
/// Training computes only what the loss uses: the visible patches' embeddings, and of the decoder's
/// last block, norm and prediction the masked patches' rows. predict_all() is the plain
/// computation.
///
/// Legend: B images, L patches, K visible, M = L - K masked, N prefix tokens (cls, registers), D
/// width, P pixels of a patch.
class Mae final : public Objective {
 public:
  /// Throws UsageError for options that don't fit together.
  Mae(const MaeOptions& options, const RunOptions& run);

  std::vector<ViewSpec> views() const override { return {view_}; }
  StepResult step(const Batch& batch, const StepInfo& info) override;
  std::vector<at::Tensor> draw(const Batch& batch) const override;
  bool replayable() const override { return true; }
  std::shared_ptr<Vit> backbone() override { return encoder_; }
  InFiles in_files(const std::string& name) const override;
  at::Tensor fitted(const std::string& name,
                    const at::Tensor& tensor,
                    const VitOptions& source) const override;
  /// FLOPs of what is computed, a third of them forward. They are fewer than the plain method's in
  /// docs/official_settings.md, "Compute per image".
  double flops_per_image() const override;
  std::optional<double> encoded_tokens_per_image() const override;
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;

  /// The mask that noise [B, L] (float32, uniform) gives at the options' ratio.
  RandomMask mask_of(const at::Tensor& noise) const;

  /// images [B, C, H, W] → normed tokens of prefix and visible patches [B, N + K, D].
  at::Tensor encode(const at::Tensor& images, const RandomMask& mask);
  /// latent (from encode) → pixels of the masked patches [B, M, P], in the mask's order.
  at::Tensor predict_masked(const at::Tensor& latent, const RandomMask& mask);
  /// latent → pixels of all patches [B, L, P], in the image's order.
  at::Tensor predict_all(const at::Tensor& latent, const RandomMask& mask);

  /// What predict_all should give, [B, L, P]: pixels, normalised by patch with norm_pix_loss.
  at::Tensor target(const at::Tensor& images) const;
  /// The loss of a batch with this mask, a float32 scalar.
  at::Tensor loss(const at::Tensor& images, const RandomMask& mask);

 private:
  void add_decoder();
  void init_weights();
  at::Tensor patches(const at::Tensor& images) const;
  at::Tensor decoder_tokens(const at::Tensor& latent, const RandomMask& mask);
  at::Tensor decode(at::Tensor tokens, int64_t first_predicted);

  MaeMethodOptions options_;
  VitOptions model_;
  int64_t seed_;
  ViewSpec view_;
  std::shared_ptr<Vit> encoder_;
  std::shared_ptr<Linear> decoder_embed_, decoder_pred_;
  std::shared_ptr<LayerNorm> decoder_norm_;
  std::vector<std::shared_ptr<Block>> decoder_blocks_;
  at::Tensor mask_token_, decoder_pos_embed_;
};

}  // namespace previt
