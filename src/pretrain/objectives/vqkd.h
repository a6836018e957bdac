#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/tokenizers/vqkd.h"
#include "pretrain/feature_target.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

/// The section `vqkd:` of a recipe.
struct VqkdMethodOptions {
  std::string teacher;        ///< any checkpoint of a Vision Transformer
  int64_t teacher_heads = 0;  ///< for checkpoints that do not say; 0: as they say
  int64_t decoder_depth = 3;
  CodebookOptions codebook;
};
void visit(FieldVisitor& v, VqkdMethodOptions& o);

/// The sections `vqkd:` and `augment:` of a recipe; `model` is the encoder. The defaults are
/// beit2:TOKENIZER.md's.
struct VqkdOptions {
  VqkdMethodOptions vqkd;
  /// A size of 0: as model.image_size.
  ViewSpec augment{.height = 0, .width = 0, .scale = {0.08, 1}, .pixels = PixelScale::kPlain};

  static void set_defaults(RunOptions& run);
};
void visit(FieldVisitor& v, VqkdOptions& o);

/// Trains BEiT v2's tokenizer (Peng et al. 2022; beit2:run_vqkd_training.py): from the codes, the
/// decoder learns to predict the direction of the teacher's feature of the same patch.
///
/// Legend: B images, L patches, T width of the teacher's features.
class VqkdTraining final : public Objective {
 public:
  /// Throws UsageError without a teacher, Error if the teacher can't be loaded.
  VqkdTraining(const VqkdOptions& options, const RunOptions& run);

  std::vector<ViewSpec> views() const override { return {view_}; }
  StepResult step(const Batch& batch, const StepInfo& info) override;
  void after_optimizer_step(const StepInfo& info) override;
  void skipped_optimizer_step(const StepInfo&) override { tokenizer_->quantizer().forget(); }
  Settings frozen_parts() const override;
  std::vector<StartingBackbone> starting_backbones() override;
  KeptModel kept_model() override;
  ParamRules param_rules() const override;
  double flops_per_image() const override;
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;
  std::string diagnose(const std::map<std::string, double>& means,
                       const StepInfo& info) const override;

  Vqkd& tokenizer() { return *tokenizer_; }

 private:
  VqkdNetworkOptions network_;
  ViewSpec view_;
  uint64_t seed_;
  std::shared_ptr<FeatureTarget> teacher_;  // not registered: it is neither trained nor saved
  at::Device teacher_on_{at::kCPU};
  std::shared_ptr<Vqkd> tokenizer_;
};

/// 1 - the cosine between predicted and wanted features [B, L, T], mean over patches; scalar.
at::Tensor cosine_loss(const at::Tensor& predicted, const at::Tensor& wanted);

}  // namespace previt
