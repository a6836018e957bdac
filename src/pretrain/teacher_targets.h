#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>

#include "options.h"
#include "pretrain/run_options.h"

namespace previt {

/// What keeps the teacher's targets from all being the same: a moving mean is subtracted, or
/// Sinkhorn-Knopp makes a batch use all prototypes alike (DINOv2).
enum class Centering { center, sinkhorn_knopp };
constexpr auto enum_names(Centering) { return std::array{"center", "sinkhorn_knopp"}; }

/// What keeps answers and features of DINO and DINOv2 apart.
struct TargetOptions {
  Centering centering = Centering::center;
  int64_t sinkhorn_iterations = 3;
  double koleo_weight = 0;  ///< of KoLeo (koleo_loss), per global crop and rank; 0: off

  /// The teacher's targets, float32 [R, K], for logits [R, K]; center [1, K].
  at::Tensor targets(const at::Tensor& logits, const at::Tensor& center, double temperature) const;
  /// KoLeo's part of the loss, a scalar: each of `crops` by itself, added. features [crops·B, D],
  /// crop by crop.
  at::Tensor koleo(const at::Tensor& features, int64_t crops) const;
  /// Throws UsageError, led by the recipe's `section`, if the targets depend on images that a step
  /// never has at once. A rank's images are computed with those of the others.
  void require_whole_batch(const std::string& section, const TrainOptions& train) const;
};
void visit(FieldVisitor& v, TargetOptions& o);

}  // namespace previt
