#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "communicator.h"

namespace previt {

// DINO's loss (Caron et al. 2021; dino:main_dino.py DINOLoss). All of it is float32 whatever the
// logits' type.
//
// Legend: B images, V views of each that the student sees, the first G of which the teacher sees
// too, K prototypes. Rows are view-major: all images of view 0, then all of view 1, …

/// The teacher's targets: softmax((logits - center) / temperature). logits [G·B, K], center [1, K]
/// → float32 [G·B, K].
at::Tensor centered_softmax(const at::Tensor& logits, const at::Tensor& center, double temperature);

/// Cross-entropy of the student's softmax(logits / temperature) with the targets, averaged over the
/// images and over all G (V - 1) pairs of different views. logits [V·B, K], targets [G·B, K] with
/// rows that sum to 1 and no gradient → scalar. Targets are summed over the teacher's views first,
/// so that no product is made for each pair. Throws Error if the shapes don't fit together.
at::Tensor cross_view_loss(const at::Tensor& logits,
                           const at::Tensor& targets,
                           int64_t teacher_views,
                           double temperature);

/// Mean entropy of the targets' rows [R, K] in nats, a scalar: ln K where they are uniform.
at::Tensor target_entropy(const at::Tensor& targets);

/// Mean of rows over the micro-batches of an optimizer step, those of all ranks.
class RowMean {
 public:
  void add(const at::Tensor& rows);  ///< [R, K]
  void reset();
  bool empty() const { return rows_ == 0; }
  at::Tensor mean(Communicator& all = world()) const;  ///< float32 [1, K]

 private:
  at::Tensor sum_;
  int64_t rows_ = 0;
};

}  // namespace previt
