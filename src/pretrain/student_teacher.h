#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/heads/dino_head.h"
#include "models/weights/load_model.h"
#include "pretrain/collapse.h"
#include "pretrain/ema_teacher.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "pretrain/views/multi_crop_views.h"

namespace previt {

// Self-distillation over crops of several sizes (DINO, iBOT, DINOv2): what such methods have in
// common besides their losses.

/// What their recipes have in common; the defaults are dino:main_dino.py's.
struct StudentTeacherOptions {
  int64_t global_crops = 2, local_crops = 8;
  DinoHeadOptions head;
  int64_t freeze_last_layer = 1;  ///< epochs in which the prototypes stay as they are

  double student_temp = 0.1;
  double teacher_temp = 0.04;         ///< after its warm-up
  double warmup_teacher_temp = 0.04;  ///< in the first epoch
  int64_t warmup_teacher_temp_epochs = 0;
  double teacher_momentum = 0.996;  ///< at the first step
  double teacher_momentum_end = 1;  ///< reached by a cosine
  double center_momentum = 0.9;

  /// The official defaults of the shared sections, except epochs and batch.
  static void set_defaults(RunOptions& run);
};
void visit(FieldVisitor& v, StudentTeacherOptions& o);

/// ObjectiveRecipe::lay_out of such methods: the teacher's head and, beside it, the student and the
/// centers, which are buffers of the loss. `loss` is its key in the authors' checkpoints.
void lay_out_pair(const NamedTensors& own, const std::string& loss, LoadedModel& model);

/// A backbone to which a method adds its heads. Student and teacher are one such network each.
class StudentTeacherNetwork : public torch::nn::Module {
 public:
  explicit StudentTeacherNetwork(const VitOptions& model);

  /// Called at every micro-step: whether its optimizer step leaves the prototypes as they are.
  virtual void freeze_prototypes(bool frozen) = 0;

  std::shared_ptr<Vit> backbone;
};

/// The student sees all crops and learns to answer as the teacher does on the global crops. The
/// teacher is the student's moving average, moves once per optimizer step, and is the network that
/// is kept. Both are saved under the official names (`student.backbone.…`, `teacher.backbone.…`).
///
/// A method derives from it: its constructor calls add_student and add_teacher, its step begins
/// with begin_step and ends with metrics.
class StudentTeacher : public Objective {
 public:
  std::vector<ViewSpec> views() const override { return crops_.views(); }
  void after_optimizer_step(const StepInfo& info) override;
  void skipped_optimizer_step(const StepInfo&) override { forget(); }
  std::shared_ptr<Vit> backbone() override { return teacher().backbone; }
  std::vector<StartingBackbone> starting_backbones() override;
  InFiles in_files(const std::string& name) const override;
  std::vector<Picture> previews(const Batch& batch, const NormalizeOptions& normalize) override;
  std::optional<double> encoded_tokens_per_image() const override;
  std::string odd_plan(int64_t epochs) const override;
  std::string diagnose(const std::map<std::string, double>& means,
                       const StepInfo& info) const override;

  virtual StudentTeacherNetwork& student() = 0;
  virtual StudentTeacherNetwork& teacher() = 0;
  /// The temperature of the teacher's targets at this step.
  virtual double teacher_temperature(const StepInfo& info) const;
  /// The momentum of the teacher's moving average at this step.
  double teacher_momentum(const StepInfo& info) const;

 protected:
  /// `remedies.section` leads the messages. Throws UsageError for options that don't fit together.
  StudentTeacher(CollapseRemedies remedies,
                 const StudentTeacherOptions& options,
                 const MultiCropOptions& crops,
                 const RunOptions& run);

  /// Makes and registers a Network(model, args …), which must be a StudentTeacherNetwork.
  template <class Network, class... Args>
  std::shared_ptr<Network> add_student(const Args&... args) {
    return register_module("student", std::make_shared<Network>(model_, args...));
  }
  /// The same for the teacher, which starts equal to the student and has no drop path.
  template <class Network, class... Args>
  std::shared_ptr<Network> add_teacher(const Args&... args) {
    VitOptions model = model_;
    model.drop_path = 0;
    auto network = register_module("teacher", std::make_shared<Network>(model, args...));
    average_ = EmaTeacher(*network, student());
    return network;
  }

  const VitOptions& model() const { return model_; }
  const MultiCropOptions& crops() const { return crops_; }
  /// Of the first global crop, in patches.
  int64_t mask_rows() const { return crops_.global_1.height / model_.patch_size; }
  int64_t mask_columns() const { return crops_.global_1.width / model_.patch_size; }
  /// Multiply-adds (vit_macs.h) of the backbone for a global crop of which `rows` tokens are read
  /// after the last block, and for the class token of a local one.
  double global_macs(int64_t rows) const;
  double local_macs() const;
  /// Throws Error unless the batch has all crops.
  void require_all_crops(const Batch& batch) const;
  /// The crops that the teacher sees, [B, C, H, W] each.
  std::vector<at::Tensor> global_crops(const std::vector<at::Tensor>& views) const;

  /// Forgets the last step at the first micro-step, and freezes the prototypes in the first epochs.
  void begin_step(const StepInfo& info);
  /// The metrics of a step: those that show a collapse (CollapseMetrics::add), the method's `own`,
  /// and the teacher's temperature and momentum.
  Metrics metrics(const at::Tensor& loss,
                  const at::Tensor& targets,
                  const at::Tensor& features,
                  const StepInfo& info,
                  const Metrics& own);

  /// Moves centers. It is called before the teacher moves, which is then still the one that gave
  /// the targets.
  virtual void move_centers() {}
  /// Forgets what the micro-steps of a step collected. An override must call it too.
  virtual void forget() { collapse_.reset(); }

 private:
  CollapseRemedies remedies_;
  StudentTeacherOptions options_;
  VitOptions model_;
  MultiCropOptions crops_;
  double warmup_epochs_;
  EmaTeacher average_;
  CollapseMetrics collapse_;
};

}  // namespace previt
