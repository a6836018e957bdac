#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "pretrain/train/optimizer.h"

namespace previt {

/// The gradients of one optimizer step and their norms. Clipping follows torch's clip_grad_norm_: a
/// factor max_norm / (norm + 1e-6), applied only below 1.
class Gradients {
 public:
  /// Takes the gradients of those parameters that have one.
  explicit Gradients(const std::vector<TrainedParameter>& parameters);

  /// L2 norm over all gradients, a scalar on their device.
  const at::Tensor& norm() const { return norm_; }

  /// `norm` is the value of norm(), which the caller has read already.
  void clip_global(double norm, double max_norm);
  /// Clips the gradients of each network by their common norm, as DINOv2 does
  /// (dinov2/train/train.py). Waits for the device.
  void clip_per_network(double max_norm);
  /// Clips each gradient by its own norm, as DINO does (dino:utils.py). Waits for the device.
  void clip_per_parameter(double max_norm);

  // The same numbers without a wait: all gradients are multiplied, by 1 where nothing is clipped.
  void clip_global_there(const at::Tensor& norm, double max_norm);
  void clip_per_network_there(double max_norm);
  void clip_per_parameter_there(double max_norm);

 private:
  // Multiplies gradient i by the factor for the norm `of_each[i]`.
  void clip_by(const std::vector<double>& of_each, double max_norm);
  // The norm of each gradient as rank 0 has it.
  std::vector<double> norms_here() const;

  std::vector<at::Tensor> gradients_;
  std::vector<int64_t> networks_;  // of each gradient: ParamRule::network
  at::Tensor norms_;               // [tensors]
  at::Tensor norm_;
};

}  // namespace previt
