#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pretrain/losses/dino_loss.h"
#include "pretrain/objective.h"

namespace previt {

/// Metrics that show a collapse: teacher_entropy and student_kl (nats), top_prototype (the largest
/// share of all targets that one prototype gets), feature_spread, feature_rank. The last three are
/// about all images of an optimizer step: they are collected over the micro-batches of all ranks
/// and given with each rank's last one, so that they don't depend on how the batch is cut.
/// feature_rank waits for the device, so it is taken only in the first step of each metrics line.
class CollapseMetrics {
 public:
  explicit CollapseMetrics(int64_t log_steps = 1) : log_steps_(log_steps) {}

  /// `loss`, a scalar, is the cross-entropy with `targets` [R, K]; features [R, D] are the
  /// teacher's.
  Metrics add(const at::Tensor& loss,
              const at::Tensor& targets,
              const at::Tensor& features,
              const StepInfo& info,
              Communicator& all = world());
  /// Forgets a step that wasn't finished.
  void reset();

 private:
  int64_t log_steps_;
  RowMean targets_, unit_features_;
  std::vector<at::Tensor> features_;  // in steps whose rank is wanted
};

/// Where the recipe of a method has the keys that remedies name.
struct CollapseRemedies {
  std::string section = "dino";  ///< section of the recipe with these keys
  std::string other{};           ///< another remedy for one prototype that takes all
};

/// Says in words which collapse a self-distilling run shows, with the usual remedy; "" if none. It
/// reads the metrics teacher_entropy (nats), top_prototype (largest share of the targets that one
/// prototype gets) and feature_spread; missing ones are not judged. At the start of every run the
/// targets are nearly uniform, so ask only after its warm-up.
std::string describe_collapse(const std::map<std::string, double>& metrics,
                              int64_t prototypes,
                              const CollapseRemedies& remedies = {});

}  // namespace previt
