#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/heads/ibot_head.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/masks/patch_mask.h"
#include "pretrain/masks/share_masking.h"
#include "pretrain/student_teacher.h"

namespace previt {

/// The section `ibot:` of a recipe.
struct IbotMethodOptions : StudentTeacherOptions {
  int64_t patch_out_dim = 8192;  ///< prototypes for patches, where they aren't shared
  bool shared_head = true;       ///< the student's: one last layer for class tokens and patches
  bool shared_head_teacher = true;
  ShareMaskOptions mask;         ///< of the student's global crops
  int64_t mask_start_epoch = 0;  ///< before it nothing is masked, and the patches have no loss

  double patch_teacher_temp = 0.07, warmup_patch_teacher_temp = 0.04;
  double patch_center_momentum = 0.9;
  double cls_weight = 1, patch_weight = 1;

  IbotMethodOptions();
};
void visit(FieldVisitor& v, IbotMethodOptions& o);

/// The sections `ibot:` and `augment:` of a recipe; the defaults are ibot:main_ibot.py's.
struct IbotOptions {
  IbotMethodOptions ibot;
  MultiCropOptions augment;

  IbotOptions();
  static void set_defaults(RunOptions& run);
  void lay_out(const NamedTensors& own, LoadedModel& model) const;
};
void visit(FieldVisitor& v, IbotOptions& o);

/// Backbone and head of the student or the teacher. Only the student has the mask embedding,
/// [1, D].
class IbotNetwork final : public StudentTeacherNetwork {
 public:
  IbotNetwork(const VitOptions& model, const IbotMethodOptions& options, bool student);
  void freeze_prototypes(bool frozen) override { head->freeze_prototypes(frozen); }

  std::shared_ptr<IbotHead> head;
  at::Tensor masked_embed;
};

/// The logits that both losses are made of. G global crops and V crops in all of B images, R masked
/// patches of the global crops, K prototypes.
struct IbotRows {
  at::Tensor cls;      ///< [V·B, K] of the student, [G·B, K] of the teacher
  at::Tensor patches;  ///< [R, K]
};

/// Self-distillation with an online tokenizer (Zhou et al. 2022; bytedance/ibot main_ibot.py):
/// DINO's loss, and one over the masked patches of the student's global crops, whose targets are
/// the teacher's answers to the same patches of the same crops. Parameters have DINO's names and
/// `student.masked_embed`, `head.last_layer2.…`, `center2`.
///
/// The last block, the norm and the heads are computed only for what the losses read: class tokens
/// and masked patches. The patch center is the mean over all patches. As the last layer is linear,
/// the mean of its input is kept instead of the logits of all patches.
class Ibot final : public StudentTeacher {
 public:
  /// Throws UsageError for options that don't fit together.
  Ibot(const IbotOptions& options, const RunOptions& run);

  StepResult step(const Batch& batch, const StepInfo& info) override;
  std::vector<at::Tensor> draw(const Batch& batch) const override;
  double flops_per_image() const override;

  IbotNetwork& student() override { return *student_; }
  IbotNetwork& teacher() override { return *teacher_; }
  /// The temperature of the teacher's targets for patches.
  double patch_temperature(const StepInfo& info) const;

  /// The masks that seed, epoch and the images' indices give, bool [G·B, L] on the host, crop by
  /// crop. They are those from mask_start_epoch on, whatever the epoch.
  at::Tensor masks_of(const Batch& batch) const;
  /// The step with given masks.
  StepResult step(const Batch& batch, const PatchMask& mask, const StepInfo& info);

  /// The student's logits for all crops.
  IbotRows student_rows(const std::vector<at::Tensor>& views, const PatchMask& mask);

 private:
  // The teacher's logits, and its features of the class tokens.
  struct Teaching {
    IbotRows logits;
    at::Tensor features;
  };
  Teaching teach(const std::vector<at::Tensor>& views, const PatchMask& mask);
  void move_centers() override;
  void forget() override;

  IbotMethodOptions options_;
  int64_t seed_;
  std::shared_ptr<IbotNetwork> student_, teacher_;
  at::Tensor center_, patch_center_;  // [1, K], [1, 1, K]
  RowMean cls_mean_;                  // of logits
  RowMean bottleneck_mean_;           // of all patches' rows before the last layer
};

}  // namespace previt
