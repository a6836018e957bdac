#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/layers/patch_embed.h"
#include "models/weights/load_model.h"
#include "pretrain/losses/masked_tokens.h"
#include "pretrain/masks/block_masking.h"
#include "pretrain/masks/patch_mask.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/token_targets.h"

namespace previt {

class Block;
class LayerNorm;
class Linear;

/// BEiT v2's class token head: extra blocks that see the patches of an early block and the class
/// token of the last one, so that the class token must sum up the picture. They are dropped after
/// pretraining.
struct BeitClsHeadOptions {
  int64_t layers = 0;          ///< 0: none (BEiT v1); 2 in v2
  int64_t early_layers = 9;    ///< blocks before the patches that the extra ones see
  bool shared_lm_head = true;  ///< norm and lm_head serve both predictions
};
void visit(FieldVisitor& v, BeitClsHeadOptions& o);

/// The section `beit:` of a recipe.
struct BeitMethodOptions {
  std::string tokenizer;  ///< a run of train_tokenizer, or colors:N (color_tokenizer.h)
  Interpolation tokenizer_interpolation = Interpolation::lanczos;  ///< of the tokenizer's view
  std::string tokens;           ///< file of cache_tokens with the tokens of all images; "": none
  int64_t masked_patches = 75;  ///< at most, of each image
  BlockMaskOptions block;
  BeitClsHeadOptions cls_head;
};
void visit(FieldVisitor& v, BeitMethodOptions& o);

/// The sections `beit:` and `augment:` of a recipe; the defaults are BEiT v1's on ImageNet-1k
/// (unilm:beit/README.md, run_beit_pretraining.py).
struct BeitOptions {
  BeitMethodOptions beit;
  /// Sizes of 0: as model.image_size.
  ViewSpec augment{
      .height = 0, .width = 0, .scale = {0.08, 1}, .jitter = 1, .saturation = 0.4, .hue = 0};

  static void set_defaults(RunOptions& run);
  void lay_out(const NamedTensors& own, LoadedModel& model) const;
};
void visit(FieldVisitor& v, BeitOptions& o);

/// Masked token prediction (Bao et al. 2022, Peng et al. 2022; unilm:beit and beit2,
/// modeling_pretrain.py). A frozen tokenizer turns the crop into a visual token per patch; the
/// encoder gets mask tokens for blocks of patches and predicts their visual tokens. Parameters: the
/// encoder's under `encoder.`, `mask_token`, `lm_head`, `cls_pt_layers`, `cls_pt_norm`,
/// `cls_pt_lm_head`.
///
/// The number of masked patches differs between images. So losses are means over those of the whole
/// batch, and micro-batches are weighted by theirs. The last block's projection and MLP, the norm
/// and the head are computed for these patches only; predict_all() is the plain computation.
///
/// Legend: B images, L patches, N = prefix + L tokens of the encoder, R masked patches of the
/// batch, V visual tokens of the vocabulary, D width.
class Beit : public Objective {
 public:
  /// If `tokenizer` is null, it is the one that options.beit.tokenizer names. `open` reads
  /// beit.tokens. Throws UsageError for options that don't fit together.
  Beit(const BeitOptions& options,
       const RunOptions& run,
       std::shared_ptr<Tokenizer> tokenizer = nullptr,
       const TensorFileOpener& open = {});
  Beit(const BeitOptions& options, const RunOptions& run, const TensorFileOpener& open)
      : Beit(options, run, nullptr, open) {}

  std::vector<ViewSpec> views() const override { return targets_.views(); }
  StepResult step(const Batch& batch, const StepInfo& info) override;
  std::vector<at::Tensor> draw(const Batch& batch) const override {
    std::vector<at::Tensor> own = {masked_patches(mask_of(batch))};
    if (targets_.are_kept()) own.push_back(targets_.kept_tokens(batch));
    return own;
  }
  std::shared_ptr<Vit> backbone() override { return encoder_; }
  ParamRules param_rules() const override {
    return decay_matrices_except({"encoder.pos_embed", "encoder.cls_token"});
  }
  Settings frozen_parts() const override;
  /// FLOPs to train on one image, without the tokenizer's.
  double flops_per_image() const override;
  std::optional<double> encoded_tokens_per_image() const override {
    return static_cast<double>(model_.num_prefix_tokens() + model_.num_patches());
  }
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;
  std::string diagnose(const std::map<std::string, double>& means,
                       const StepInfo& info) const override;

  /// The masks that seed, epoch and the images' indices give, bool [B, L] on the host.
  at::Tensor mask_of(const Batch& batch) const;
  TokenTargets& targets() { return targets_; }

  /// Logits of the masked patches' tokens, [R, V]; `cls` from the class token head, if there is
  /// one.
  struct Prediction {
    at::Tensor main, cls;
  };
  Prediction predict(const at::Tensor& images, const PatchMask& mask);
  /// The plain computation: normed tokens [B, N, D], and from them the logits of all patches
  /// [B, L, V].
  at::Tensor encode(const at::Tensor& images, const PatchMask& mask);
  at::Tensor predict_all(const at::Tensor& normed_tokens);

  /// Loss and metrics for the visual tokens int64 [B, L]. Throws Error if no patch is masked.
  StepResult loss(const at::Tensor& images, const PatchMask& mask, const at::Tensor& tokens);

 private:
  void add_cls_head();
  void init_weights();
  void check_views(const Batch& batch) const;
  at::Tensor predict_from_cls(const at::Tensor& cls,
                              const at::Tensor& early,
                              const PatchMask& mask);

  BeitMethodOptions options_;
  VitOptions model_;
  int64_t seed_;
  TokenTargets targets_;  // its tokenizer isn't registered: it is neither trained nor saved
  TokenCounts token_counts_;
  std::shared_ptr<Vit> encoder_;
  std::shared_ptr<Linear> lm_head_, cls_lm_head_;
  std::shared_ptr<LayerNorm> cls_norm_;
  std::vector<std::shared_ptr<Block>> cls_layers_;
  at::Tensor mask_token_;
};

}  // namespace previt
