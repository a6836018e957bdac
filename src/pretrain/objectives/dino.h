#pragma once

#include <memory>

#include "models/heads/dino_head.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/student_teacher.h"
#include "pretrain/teacher_targets.h"

namespace previt {

/// The section `dino:` of a recipe.
struct DinoMethodOptions : StudentTeacherOptions, TargetOptions {};
void visit(FieldVisitor& v, DinoMethodOptions& o);

/// The sections `dino:` and `augment:` of a recipe; the defaults are dino:main_dino.py's.
struct DinoOptions {
  DinoMethodOptions dino;
  MultiCropOptions augment;

  static void set_defaults(RunOptions& run);
  void lay_out(const NamedTensors& own, LoadedModel& model) const;
};
void visit(FieldVisitor& v, DinoOptions& o);

/// Backbone and head, of the student or the teacher.
class DinoNetwork final : public StudentTeacherNetwork {
 public:
  DinoNetwork(const VitOptions& model, const DinoHeadOptions& head);
  void freeze_prototypes(bool frozen) override { head->freeze_prototypes(frozen); }

  std::shared_ptr<DinoHead> head;
};

/// Self-distillation without labels (Caron et al. 2021; facebookresearch/dino main_dino.py): the
/// cross-entropy of the student's answer to each crop with the teacher's answer to each other
/// global crop. A center or Sinkhorn-Knopp keeps it from collapsing. Parameters have the official
/// names (`student.head.…`, `teacher.head.…`, `center`).
///
/// The center moves once per optimizer step, by the mean of the whole batch. All micro-steps of a
/// step use the same one. Several ranks compute Sinkhorn-Knopp and the head's BatchNorm over the
/// images of all of them, KoLeo each over its own, as officially.
class Dino final : public StudentTeacher {
 public:
  /// Throws UsageError for options that don't fit together.
  Dino(const DinoOptions& options, const RunOptions& run);

  StepResult step(const Batch& batch, const StepInfo& info) override;
  BatchNeed batch_need() const override;
  double flops_per_image() const override;

  DinoNetwork& student() override { return *student_; }
  DinoNetwork& teacher() override { return *teacher_; }

 private:
  void move_centers() override;
  void forget() override;

  DinoMethodOptions options_;
  std::shared_ptr<DinoNetwork> student_, teacher_;
  at::Tensor center_;  // [1, K]
  RowMean logit_mean_;
};

}  // namespace previt
