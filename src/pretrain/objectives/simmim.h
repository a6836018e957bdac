#pragma once

#include <memory>
#include <vector>

#include "models/weights/load_model.h"
#include "pretrain/masks/patch_mask.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

class Linear;

/// The section `simmim:` of a recipe.
struct SimMimMethodOptions {
  int64_t mask_unit = 32;  ///< pixels: side of the squares that are masked as one
  double mask_ratio = 0.6;
};
void visit(FieldVisitor& v, SimMimMethodOptions& o);

/// The sections `simmim:` and `augment:` of a recipe; the defaults are those of
/// microsoft/SimMIM configs/vit_base__800ep.
struct SimMimOptions {
  SimMimMethodOptions simmim;
  ViewSpec augment;

  SimMimOptions();
  static void set_defaults(RunOptions& run);
  void lay_out(const NamedTensors& own, LoadedModel& model) const;
};
void visit(FieldVisitor& v, SimMimOptions& o);

/// SimMIM (Xie et al. 2022; microsoft/SimMIM models/simmim.py). Mask tokens stand in place of the
/// masked patches' embeddings, one linear layer predicts the pixels of each masked token, and the
/// loss is their mean absolute error. Parameters: the encoder's under `encoder.`, `mask_token`,
/// `decoder` [P, D], whose rows are those of the official 1 × 1 convolution.
///
/// Training computes the last block's projection and MLP, the final norm and the decoder for masked
/// patches only; predict_all() is the plain computation.
///
/// Legend: B images, L patches, R masked ones of the batch, P = C·p·p pixels of a patch (channel,
/// row, column), D width.
class SimMim final : public Objective {
 public:
  /// Throws UsageError for options that don't fit together.
  SimMim(const SimMimOptions& options, const RunOptions& run);

  std::vector<ViewSpec> views() const override { return {view_}; }
  StepResult step(const Batch& batch, const StepInfo& info) override;
  std::vector<at::Tensor> draw(const Batch& batch) const override;
  bool replayable() const override { return true; }
  std::shared_ptr<Vit> backbone() override { return encoder_; }
  InFiles in_files(const std::string& name) const override;
  ParamRules param_rules() const override;
  double flops_per_image() const override;
  std::optional<double> encoded_tokens_per_image() const override;
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;

  /// The mask that seed, epoch and the images' indices give, bool [B, L] on the host, with equally
  /// many units of each image.
  at::Tensor mask_of(const Batch& batch) const;
  /// Normed tokens of all patches, [B, L, D].
  at::Tensor encode(const at::Tensor& images, const PatchMask& mask);
  /// Pixels of all patches, [B, L, P].
  at::Tensor predict_all(const at::Tensor& images, const PatchMask& mask);
  /// The loss of a batch with this mask, a float32 scalar.
  at::Tensor loss(const at::Tensor& images, const PatchMask& mask);

 private:
  SimMimMethodOptions options_;
  VitOptions model_;
  int64_t seed_;
  ViewSpec view_;
  std::shared_ptr<Vit> encoder_;
  std::shared_ptr<Linear> decoder_;
  at::Tensor mask_token_;
};

}  // namespace previt
