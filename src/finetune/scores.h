#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "communicator.h"

namespace previt {

/// Counts a classifier's answers, exactly, however they come in batches. C classes.
class Scores {
 public:
  explicit Scores(int64_t num_classes);

  /// logits [B, C], labels [B] int64; images without a label (-1) don't count.
  void add(const at::Tensor& logits, const at::Tensor& labels);
  /// Adds what the other ranks have counted.
  void add_ranks(Communicator& all = world());

  int64_t images() const;
  double top1() const;  ///< percent of images; 0 without images
  double top5() const;  ///< percent with the label among the five (or C) best
  double loss() const;  ///< mean cross-entropy

  /// int64 [C, C] on the CPU: rows are the labels, columns the answers.
  const at::Tensor& confusion() const { return confusion_; }
  /// Percent right of one class; 0 where it has no image.
  double class_accuracy(int64_t label) const;
  int64_t class_images(int64_t label) const;

  /// {"top1", "top5", "loss", "images"}
  nlohmann::ordered_json json() const;

 private:
  at::Tensor confusion_;
  int64_t top5_right_ = 0;
  double loss_sum_ = 0;
};

/// How often images of one class were taken for another.
struct Mistake {
  int64_t label = 0, answer = 0, count = 0;
};

/// The most frequent mistakes, worst first, at most `limit`. confusion: as Scores::confusion.
std::vector<Mistake> worst_mistakes(const at::Tensor& confusion, int64_t limit);

/// The confusion matrix (int64 [C, C]) as an SVG picture: a row for each true class, with shares
/// of the row as shades. Counts stand in the cells while they are legible, and names along both
/// sides while there are at most 40.
std::string confusion_svg(const at::Tensor& confusion, const std::vector<std::string>& names);

}  // namespace previt
