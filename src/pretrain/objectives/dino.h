#pragma once

#include <array>
#include <memory>

#include "models/heads/dino_head.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/student_teacher.h"

namespace previt {

/// How the teacher's targets are kept from all being the same: a moving mean is taken off, or
/// Sinkhorn-Knopp makes a batch use all prototypes alike (DINOv2).
enum class Centering { center, sinkhorn_knopp };
constexpr auto enum_names(Centering) { return std::array{"center", "sinkhorn_knopp"}; }

struct DinoMethodOptions : StudentTeacherOptions {
  Centering centering = Centering::center;
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
class DinoNetwork final : public StudentTeacherNetwork {
 public:
  DinoNetwork(const VitOptions& model, const DinoHeadOptions& head);
  void freeze_prototypes(bool frozen) override { head->freeze_prototypes(frozen); }

  std::shared_ptr<DinoHead> head;
};

/// Self-distillation without labels (Caron et al. 2021; facebookresearch/dino main_dino.py): the
/// cross-entropy of the student's answer to each crop with the teacher's to each other global crop,
/// which a center or Sinkhorn-Knopp keeps from collapsing. Parameters have the official names
/// (`student.head.…`, `teacher.head.…`, `center`).
///
/// The center moves once per optimizer step: that used by all micro-steps of a step is the same,
/// and sees the whole batch.
class Dino final : public StudentTeacher {
 public:
  Dino(const DinoOptions& options, const RunOptions& run);

  StepResult step(const Batch& batch, const StepInfo& info) override;
  BatchNeed batch_need() const override;
  double flops_per_image() const override;

  DinoNetwork& student() override { return *student_; }
  DinoNetwork& teacher() override { return *teacher_; }

 private:
  at::Tensor targets(const at::Tensor& teacher_logits, double temperature) const;
  at::Tensor koleo(const at::Tensor& features) const;
  void move_centers() override;
  void forget() override;

  DinoMethodOptions options_;
  std::shared_ptr<DinoNetwork> student_, teacher_;
  at::Tensor center_;
  RowMean logit_mean_;
};

}  // namespace previt
