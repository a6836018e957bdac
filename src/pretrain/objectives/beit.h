#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/tokenizers/tokenizer.h"
#include "pretrain/masks/block_masking.h"
#include "pretrain/masks/patch_mask.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/word_table.h"

namespace previt {

class Block;
class LayerNorm;
class Linear;

/// BEiT v2's class token head: extra blocks that see the patches of an early block and the class
/// token of the last one, so that this must sum up the picture. They are dropped afterwards.
struct BeitClsHeadOptions {
  int64_t layers = 0;  ///< 0: none (BEiT v1); 2 in v2
  int64_t early_layers = 9;
  bool shared_lm_head = true;  ///< norm and lm_head serve both predictions
};
void visit(FieldVisitor& v, BeitClsHeadOptions& o);

struct BeitMethodOptions {
  std::string tokenizer;  ///< a run of train_tokenizer, or colors:N (color_tokenizer.h)
  Interpolation tokenizer_interpolation = Interpolation::lanczos;  ///< of the tokenizer's view
  std::string tokens;           ///< of cache_tokens: the words of all images
  int64_t masked_patches = 75;  ///< at most, of each image
  BlockMaskOptions block;
  BeitClsHeadOptions cls_head;
};
void visit(FieldVisitor& v, BeitMethodOptions& o);

/// The sections `beit:` and `augment:` of a recipe; the defaults are BEiT v1's on ImageNet-1k
/// (unilm:beit/README.md, run_beit_pretraining.py).
struct BeitOptions {
  BeitMethodOptions beit;
  ViewSpec augment;  ///< sizes of 0: as model.image_size

  BeitOptions();
  static void set_defaults(RunOptions& run);
};
void visit(FieldVisitor& v, BeitOptions& o);

/// Masked token prediction (Bao et al. 2022, Peng et al. 2022; unilm:beit and beit2,
/// modeling_pretrain.py). A frozen tokenizer turns the crop into a word per patch; the encoder gets
/// mask tokens for blocks of patches and predicts their words. Parameters: the encoder's under
/// `encoder.`, `mask_token`, `lm_head`, `cls_pt_layers`, `cls_pt_norm`, `cls_pt_lm_head`.
///
/// The number of masked patches differs between images: losses are means over all of the batch, and
/// micro-batches count by theirs. The last block's projection and MLP, the norm and the head are
/// computed for these patches only; predict_all() is the plain computation.
///
/// Legend: B images, L patches, N = prefix + L tokens, R masked patches of the batch, V words, D
/// width.
class Beit : public Objective {
 public:
  /// Without a tokenizer, the one that options.beit.tokenizer names. `open` is for beit.tokens.
  Beit(const BeitOptions& options,
       const RunOptions& run,
       std::shared_ptr<Tokenizer> tokenizer = nullptr,
       const TensorFileOpener& open = {});
  Beit(const BeitOptions& options, const RunOptions& run, const TensorFileOpener& open)
      : Beit(options, run, nullptr, open) {}

  /// The model's view, then the tokenizer's picture of the same crop unless it is the same picture
  /// or its words are there already.
  std::vector<ViewSpec> views() const override;
  StepResult step(const Batch& batch, const StepInfo& info) override;
  std::shared_ptr<Vit> backbone() override { return encoder_; }
  ParamRules param_rules() const override;
  Settings frozen_parts() const override;
  /// Without the tokenizer's.
  double flops_per_image() const override;
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;
  std::string diagnose(const std::map<std::string, double>& means,
                       const StepInfo& info) const override;

  /// The masks that the images' indices give, bool [B, L] on the host.
  at::Tensor mask_of(const Batch& batch) const;
  /// The words of a batch's pictures, int64 [B, L].
  at::Tensor words_of(const Batch& batch);
  /// What the model sees of a batch, [B, C, H, W] in [0, 1].
  at::Tensor pictures_of(const Batch& batch) const;

  /// What a table of all images' words depends on. Throws UsageError where augment draws.
  WordOrigin word_origin() const;

  /// Logits of the masked patches' words, [R, V]; `cls` from the class token head, if there is one.
  struct Prediction {
    at::Tensor main, cls;
  };
  Prediction predict(const at::Tensor& images, const PatchMask& mask);
  /// Normed tokens, [B, N, D], and the logits of all patches from them, [B, L, V].
  at::Tensor encode(const at::Tensor& images, const PatchMask& mask);
  at::Tensor predict_all(const at::Tensor& normed_tokens);

  /// words: int64 [B, L].
  StepResult loss(const at::Tensor& images, const PatchMask& mask, const at::Tensor& words);

 private:
  void add_cls_head();
  void init_weights();
  void check_views(const Batch& batch) const;
  void open_word_table(const TensorFileOpener& open);
  at::Tensor predict_from_cls(const at::Tensor& cls,
                              const at::Tensor& early,
                              const PatchMask& mask);

  BeitMethodOptions options_;
  VitOptions model_;
  int64_t seed_;
  NormalizeOptions normalize_;
  std::shared_ptr<Tokenizer> tokenizer_;  // not registered: it isn't trained nor saved
  std::unique_ptr<WordTable> words_;      // null: the tokenizer makes them
  ViewSpec view_, tokenizer_view_;
  std::shared_ptr<Vit> encoder_;
  std::shared_ptr<Linear> lm_head_, cls_lm_head_;
  std::shared_ptr<LayerNorm> cls_norm_;
  std::vector<std::shared_ptr<Block>> cls_layers_;
  at::Tensor mask_token_;
};

}  // namespace previt
