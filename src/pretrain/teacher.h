#pragma once

#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "models/heads/dino_head.h"
#include "models/vit_options.h"
#include "pretrain/losses/dino_loss.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"

namespace previt {

// What self-distilling methods (DINO, iBOT) share beside their losses.

/// The temperature of a teacher's targets: linear over whole epochs, its first and last value
/// included, then constant.
struct TeacherTemperature {
  double warmup = 0.04;  ///< in the first epoch
  double value = 0.04;   ///< from the last warm-up epoch on
  int64_t warmup_epochs = 0;

  double at(const StepInfo& info) const;
};

/// A teacher doesn't drop paths.
VitOptions without_drop_path(VitOptions model);

/// Teacher parameters that follow those of the same name in the student, frozen and started equal.
class TeacherAverage {
 public:
  TeacherAverage() = default;
  TeacherAverage(torch::nn::Module& teacher, const torch::nn::Module& student);

  /// teacher ← momentum · teacher + (1 - momentum) · student.
  void move(double momentum);

 private:
  std::vector<at::Tensor> teacher_, student_;
};

/// Metrics that show a collapse: teacher_entropy, student_kl, top_prototype (the largest share of
/// all targets that one prototype gets), feature_spread, feature_rank. What is said of all images
/// of an optimizer step is collected over its micro-batches and told with the last one, so that it
/// doesn't depend on how the batch is cut. feature_rank, which waits for the device, is of the
/// first step of each metrics line.
class DistillationMetrics {
 public:
  explicit DistillationMetrics(int64_t log_steps = 1) : log_steps_(log_steps) {}

  /// `loss` is the cross-entropy with `targets` [R, K]; features [R, D] are the teacher's.
  Metrics add(const at::Tensor& loss,
              const at::Tensor& targets,
              const at::Tensor& features,
              const StepInfo& info);
  /// Forgets a step that wasn't finished.
  void reset();

 private:
  int64_t log_steps_;
  RowMean targets_, unit_features_;
  std::vector<at::Tensor> features_;  // where the rank is asked for
};

/// Refuses what the projection head would ignore, or do otherwise in micro-batches. `section` leads
/// the message.
void check_head(const std::string& section, const DinoHeadOptions& head, const TrainOptions& train);

}  // namespace previt
