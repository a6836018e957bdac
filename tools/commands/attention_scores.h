#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/frames.h"
#include "commands/attention_pictures.h"

namespace previt::cli {

/// How well the heads' masks meet the objects of their images: means over the images that have an
/// object mask.
class AttentionScores {
 public:
  /// `masks` is the folder of object masks, or "" for those that the dataset has itself. Throws
  /// Error where none of the folder's is of the dataset's first `images` images.
  AttentionScores(std::shared_ptr<Dataset> dataset, const std::string& masks, int64_t images);

  /// Counts an image that has an object mask, and fills its `truth`. A mask that can't be read or
  /// doesn't fit is skipped with a warning. `reader` is the one that read the image.
  void add(Attended& image, int64_t index, const FrameReader& reader);

  int64_t skipped() const { return skipped_; }
  /// Empty where no image has a mask.
  nlohmann::ordered_json json() const;
  /// The same in words, to be put behind others.
  std::string note() const;

 private:
  std::optional<at::Tensor> truth_of(int64_t index, const FrameReader& reader) const;

  std::shared_ptr<Dataset> dataset_;
  std::optional<MaskFolder> masks_;
  int64_t images_ = 0, skipped_ = 0;
  double best_ = 0, random_ = 0, centre_box_ = 0;  // sums over the images, as heads_
  std::vector<double> heads_;
};

}  // namespace previt::cli
