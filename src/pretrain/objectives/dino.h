#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "models/heads/dino_head.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/teacher.h"
#include "pretrain/views/multi_crop_views.h"

namespace previt {

/// How the teacher's targets are kept from all being the same: a moving mean is taken off, or
/// Sinkhorn-Knopp makes a batch use all prototypes alike (DINOv2).
enum class Centering { center, sinkhorn_knopp };
constexpr auto enum_names(Centering) { return std::array{"center", "sinkhorn_knopp"}; }

struct DinoMethodOptions {
  int64_t global_crops = 2, local_crops = 8;
  DinoHeadOptions head;
  int64_t freeze_last_layer = 1;  ///< epochs

  double student_temp = 0.1;
  double teacher_temp = 0.04;         ///< after its warm-up
  double warmup_teacher_temp = 0.04;  ///< in the first epoch
  int64_t warmup_teacher_temp_epochs = 0;
  double teacher_momentum = 0.996;  ///< at the first step
  double teacher_momentum_end = 1;  ///< reached by a cosine

  Centering centering = Centering::center;
  double center_momentum = 0.9;
  int64_t sinkhorn_iterations = 3;
  double koleo_weight = 0;  ///< per global crop
};
void visit(FieldVisitor& v, DinoMethodOptions& o);

/// The sections `dino:` and `augment:` of a recipe; the defaults are dino:main_dino.py's.
struct DinoOptions {
  DinoMethodOptions dino;
  MultiCropOptions augment;

  static void set_defaults(RunOptions& run);
};
void visit(FieldVisitor& v, DinoOptions& o);

/// Backbone and head, of the student or the teacher.
class DinoNetwork : public torch::nn::Module {
 public:
  DinoNetwork(const VitOptions& model, const DinoHeadOptions& head);
  std::shared_ptr<Vit> backbone;
  std::shared_ptr<DinoHead> head;
};

/// Self-distillation without labels (Caron et al. 2021; facebookresearch/dino main_dino.py). The
/// student sees all crops and is to answer as the teacher does on the global crops; the teacher is
/// the student's moving average and is what is kept. Parameters have the official names
/// (`student.backbone.…`, `student.head.…`, `teacher.…`, `center`).
///
/// Teacher and center move once per optimizer step; the center used by all micro-steps of a step is
/// the same, and sees the whole batch.
class Dino final : public Objective {
 public:
  Dino(const DinoOptions& options, const RunOptions& run);

  std::vector<ViewSpec> views() const override;
  StepResult step(const Batch& batch, const StepInfo& info) override;
  BatchNeed batch_need() const override;
  void after_optimizer_step(const StepInfo& info) override;
  void skipped_optimizer_step(const StepInfo&) override { forget(); }
  std::shared_ptr<Vit> backbone() override { return teacher_->backbone; }
  double flops_per_image() const override;
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;
  std::string diagnose(const std::map<std::string, double>& means,
                       const StepInfo& info) const override;

  DinoNetwork& student() { return *student_; }
  DinoNetwork& teacher() { return *teacher_; }
  double teacher_temperature(const StepInfo& info) const;
  double teacher_momentum(const StepInfo& info) const;

 private:
  at::Tensor targets(const at::Tensor& teacher_logits, double temperature) const;
  at::Tensor koleo(const at::Tensor& features) const;
  void forget();

  DinoMethodOptions options_;
  VitOptions model_;
  MultiCropOptions augment_;
  double warmup_epochs_;
  std::shared_ptr<DinoNetwork> student_, teacher_;
  TeacherAverage average_;
  at::Tensor center_;
  RowMean logit_mean_;
  DistillationMetrics collapse_;
};

}  // namespace previt
