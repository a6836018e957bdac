#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/heads/ibot_head.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/masks/patch_mask.h"
#include "pretrain/masks/share_masking.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/teacher.h"
#include "pretrain/views/multi_crop_views.h"

namespace previt {

struct IbotMethodOptions {
  int64_t global_crops = 2, local_crops = 0;
  DinoHeadOptions head{.out_dim = 8192};
  int64_t patch_out_dim = 8192;  ///< prototypes for patches, where they aren't shared
  bool shared_head = true;       ///< the student's: one last layer for class tokens and patches
  bool shared_head_teacher = true;
  int64_t freeze_last_layer = 1;  ///< epochs
  ShareMaskOptions mask;          ///< of the student's global crops
  int64_t mask_start_epoch = 0;   ///< before it nothing is masked, and the patches have no loss

  double student_temp = 0.1;
  double teacher_temp = 0.07, warmup_teacher_temp = 0.04;
  double patch_teacher_temp = 0.07, warmup_patch_teacher_temp = 0.04;
  int64_t warmup_teacher_temp_epochs = 30;
  double teacher_momentum = 0.996, teacher_momentum_end = 1;
  double center_momentum = 0.9, patch_center_momentum = 0.9;
  double cls_weight = 1, patch_weight = 1;
};
void visit(FieldVisitor& v, IbotMethodOptions& o);

/// The sections `ibot:` and `augment:` of a recipe; the defaults are ibot:main_ibot.py's.
struct IbotOptions {
  IbotMethodOptions ibot;
  MultiCropOptions augment;

  IbotOptions();
  static void set_defaults(RunOptions& run);
};
void visit(FieldVisitor& v, IbotOptions& o);

/// Backbone and head, of the student (which has the mask embedding, [1, D]) or the teacher.
class IbotNetwork : public torch::nn::Module {
 public:
  IbotNetwork(const VitOptions& model, const IbotMethodOptions& options, bool student);
  std::shared_ptr<Vit> backbone;
  std::shared_ptr<IbotHead> head;
  at::Tensor masked_embed;
};

/// What both losses are made of. G global crops and V crops in all of B images, R masked patches of
/// the global crops.
struct IbotRows {
  at::Tensor cls;      ///< [V·B, K] of the student, [G·B, K] of the teacher
  at::Tensor patches;  ///< [R, K]
};

/// Self-distillation with an online tokenizer (Zhou et al. 2022; bytedance/ibot main_ibot.py):
/// DINO, and for the masked patches of the student's global crops the teacher's answer to the same
/// patch of the same crop. Parameters have DINO's names and `student.masked_embed`,
/// `head.last_layer2.…`, `center2`.
///
/// Of the last block, the norm and the heads only what the losses read is computed: class tokens
/// and masked patches. The patch center is the mean over all patches; as the last layer is linear,
/// the mean before it is kept instead of all their logits.
class Ibot final : public Objective {
 public:
  Ibot(const IbotOptions& options, const RunOptions& run);

  std::vector<ViewSpec> views() const override { return augment_.views(); }
  StepResult step(const Batch& batch, const StepInfo& info) override;
  void after_optimizer_step(const StepInfo& info) override;
  void skipped_optimizer_step(const StepInfo&) override { forget(); }
  std::shared_ptr<Vit> backbone() override { return teacher_->backbone; }
  double flops_per_image() const override;
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;
  std::string diagnose(const std::map<std::string, double>& means,
                       const StepInfo& info) const override;

  IbotNetwork& student() { return *student_; }
  IbotNetwork& teacher() { return *teacher_; }
  double teacher_temperature(const StepInfo& info) const;
  double patch_temperature(const StepInfo& info) const;
  double teacher_momentum(const StepInfo& info) const;

  /// The masks that the images' indices give, bool [G·B, L] on the host, crop by crop, as from
  /// mask_start_epoch on.
  at::Tensor masks_of(const Batch& batch) const;
  /// The step with given masks.
  StepResult step(const Batch& batch, const PatchMask& mask, const StepInfo& info);

  /// Logits of the student for all crops.
  IbotRows student_rows(const std::vector<at::Tensor>& views, const PatchMask& mask);

 private:
  // The teacher's logits, and its features of the class tokens.
  struct Teaching {
    IbotRows logits;
    at::Tensor features;
  };
  Teaching teach(const at::Tensor& global_crops, const PatchMask& mask);
  void forget();

  IbotMethodOptions options_;
  VitOptions model_;
  MultiCropOptions augment_;
  int64_t seed_;
  double warmup_epochs_;
  std::shared_ptr<IbotNetwork> student_, teacher_;
  TeacherAverage average_;
  at::Tensor center_, patch_center_;
  RowMean cls_mean_;         // of logits
  RowMean bottleneck_mean_;  // of all patches' rows before the last layer
  DistillationMetrics collapse_;
};

}  // namespace previt
