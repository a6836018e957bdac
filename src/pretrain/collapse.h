#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pretrain/losses/dino_loss.h"
#include "pretrain/objective.h"

namespace previt {

/// Metrics that show a collapse: teacher_entropy, student_kl, top_prototype (the largest share of
/// all targets that one prototype gets), feature_spread, feature_rank. What is said of all images
/// of an optimizer step is collected over its micro-batches and told with the last one, so that it
/// doesn't depend on how the batch is cut. feature_rank, which waits for the device, is of the
/// first step of each metrics line.
class CollapseMetrics {
 public:
  explicit CollapseMetrics(int64_t log_steps = 1) : log_steps_(log_steps) {}

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

/// Where a method's recipe has the remedies.
struct CollapseRemedies {
  std::string section = "dino";  ///< of the recipe that the remedies' keys are in
  std::string other{};           ///< another remedy for one prototype that takes all
};

/// Names the collapse of a self-distilling run from its metrics teacher_entropy (nats),
/// top_prototype (largest share of the targets that one prototype gets) and feature_spread, in
/// words with the usual remedy; "" where there is none. Metrics that are missing are not judged. At
/// the start of every run the targets are nearly uniform, so ask only after its warm-up.
std::string describe_collapse(const std::map<std::string, double>& metrics,
                              int64_t prototypes,
                              const CollapseRemedies& remedies = {});

}  // namespace previt
