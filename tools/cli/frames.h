#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt::cli {

/// Images at their own shape, for a network that takes any size: the short side is resized and the
/// right and lower edges are cut to whole patches, as dino:visualize_attention.py cuts.
class FrameReader {
 public:
  /// side: pixels of the short side.
  FrameReader(std::shared_ptr<Dataset> dataset, int64_t side, int64_t patch);

  /// Float32 [3, H, W] in [0, 1]. Throws Error that says why the image can't be read.
  at::Tensor read(int64_t index);

  /// Bool [H, W]: the object mask that the dataset itself has for the image, cut in the same way.
  std::optional<at::Tensor> mask(int64_t index) const;

  /// The same of a mask given as an image: what is not black is the object.
  at::Tensor mask_of(const Image& image) const;

 private:
  std::shared_ptr<Dataset> dataset_;
  std::unique_ptr<SampleReader> reader_;
  int64_t side_, patch_;
};

/// Images to look at: as open_dataset, or one image file.
std::shared_ptr<Dataset> open_pictures(const std::string& path, const std::string& split);

/// "train/dog/a b.jpg" of sample 12 → "00012_train_dog_a_b": a file name without ending.
std::string picture_name(int64_t index, const std::string& name);

/// The masks of a folder, found by the images' names without folders and endings.
class MaskFolder {
 public:
  explicit MaskFolder(const std::string& path);
  /// Nothing where the folder has none for this image.
  std::optional<Image> find(const std::string& image_name) const;

 private:
  std::shared_ptr<Dataset> masks_;
  std::vector<std::pair<std::string, int64_t>> stems_;  // sorted
};

}  // namespace previt::cli
