#pragma once

#include <memory>
#include <vector>

#include "models/heads/dino_head.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/masks/patch_mask.h"
#include "pretrain/masks/spread_masking.h"
#include "pretrain/student_teacher.h"
#include "pretrain/teacher_targets.h"

namespace previt {

/// The section `dinov2:` of a recipe.
struct Dinov2MethodOptions : StudentTeacherOptions, TargetOptions {
  bool separate_head = false;  ///< whether patches have a head of their own, of patch_head's sizes
  DinoHeadOptions patch_head;
  SpreadMaskOptions mask;  ///< of the student's global crops
  double cls_weight = 1, patch_weight = 1;
  double patch_embed_lr = 0.2;  ///< factor of the patch embedding's rate

  Dinov2MethodOptions();
};
void visit(FieldVisitor& v, Dinov2MethodOptions& o);

/// The sections `dinov2:` and `augment:` of a recipe; the defaults are those of
/// dinov2/configs/ssl_default_config.yaml.
struct Dinov2Options {
  Dinov2MethodOptions dinov2;
  MultiCropOptions augment;

  Dinov2Options();
  static void set_defaults(RunOptions& run);
  void lay_out(const NamedTensors& own, LoadedModel& model) const;
};
void visit(FieldVisitor& v, Dinov2Options& o);

/// What a network says of its crops: G global crops and V crops in all of B images, R masked
/// patches of the global crops, K prototypes of each head.
struct Dinov2Rows {
  at::Tensor cls;         ///< logits [V·B, K] of the student, [G·B, K] of the teacher
  at::Tensor patches;     ///< logits [R, K] of the masked patches
  at::Tensor features{};  ///< [G·B, D]: class tokens of the global crops after the final norm
};

/// Backbone, heads and mask token [1, D] of the student or the teacher.
class Dinov2Network final : public StudentTeacherNetwork {
 public:
  Dinov2Network(const VitOptions& model, const Dinov2MethodOptions& options);

  /// As officially, frozen prototypes have a rate of 0 rather than no gradients, which count for
  /// the clipping and for Adam's averages. So they are put back after the optimizer's step.
  void freeze_prototypes(bool frozen) override;
  void put_back_prototypes();

  /// Of class tokens [C, D] and patches [R, D].
  Dinov2Rows answer(const at::Tensor& cls, const at::Tensor& patches);

  std::shared_ptr<DinoHead> dino_head, ibot_head;  ///< ibot_head is null where one serves both
  at::Tensor mask_token;

 private:
  std::vector<at::Tensor> prototypes() const;
  std::vector<at::Tensor> held_;  // prototypes before the step; empty: they are trained
};

/// DINOv2 (Oquab et al. 2023; facebookresearch/dinov2 dinov2/train/ssl_meta_arch.py): DINO's loss
/// of class tokens, iBOT's of masked patches, and KoLeo. Both networks have the official names
/// (`student.backbone.…`, `student.dino_head.…`, `student.ibot_head.…`), but for `mask_token`,
/// which stands beside the backbone.
///
/// The last block, the norm and the heads are computed only for class tokens and masked patches,
/// which is all that the losses and the centers read. KoLeo compares the images that a process has
/// at once, those of a micro-batch, as officially those of a GPU.
class Dinov2 final : public StudentTeacher {
 public:
  /// Throws UsageError for options that don't fit together.
  Dinov2(const Dinov2Options& options, const RunOptions& run);

  StepResult step(const Batch& batch, const StepInfo& info) override;
  std::vector<at::Tensor> draw(const Batch& batch) const override;
  void after_optimizer_step(const StepInfo& info) override;
  ParamRules param_rules() const override;
  BatchNeed batch_need() const override;
  double flops_per_image() const override;
  /// It rises with every step of its warm-up.
  double teacher_temperature(const StepInfo& info) const override;

  Dinov2Network& student() override { return *student_; }
  Dinov2Network& teacher() override { return *teacher_; }

  /// Masks, bool [G·B, L] on the host, crop by crop, drawn from a stream that seed, epoch and the
  /// batch's first image name. As officially, they are spread over the batch, so that unlike those
  /// of other methods they depend on how it is cut.
  at::Tensor masks_of(const Batch& batch) const;

  /// The student's logits for all crops, and the teacher's for the global ones, which it sees
  /// without masks.
  Dinov2Rows student_rows(const std::vector<at::Tensor>& views, const PatchMask& mask);
  Dinov2Rows teacher_rows(const std::vector<at::Tensor>& views, const PatchMask& mask);

 private:
  void move_centers() override;
  void forget() override;

  Dinov2MethodOptions options_;
  int64_t seed_;
  double layer_decay_;
  std::shared_ptr<Dinov2Network> student_, teacher_;
  at::Tensor center_, patch_center_;  // [1, K]
  RowMean cls_mean_, patch_mean_;     // of logits
};

}  // namespace previt
