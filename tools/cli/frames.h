#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
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

/// Images to look at: as open_dataset, or one image file, whatever it is called and lies beside.
std::shared_ptr<Dataset> open_pictures(const std::string& path, const std::string& split);

/// The same images as people count them: frame_2 before frame_10.
std::shared_ptr<Dataset> in_natural_order(std::shared_ptr<Dataset> images);

/// "train/dog/a b.jpg" as picture 12 → "000012_train_dog_a_b": a file name without ending.
std::string picture_name(int64_t number, const std::string& name);

/// The masks of a folder. An image's is the one of the same path inside its folder, else the only
/// one of the same file name, endings left out. Throws UsageError where several have that name.
class MaskFolder {
 public:
  explicit MaskFolder(const std::string& path);
  bool has(const std::string& image_name) const { return find(image_name) >= 0; }
  /// Nothing where the folder has none for this image. Throws Error where it can't be read.
  std::optional<Image> read(const std::string& image_name) const;

 private:
  using Names = std::vector<std::pair<std::string, int64_t>>;  // sorted

  int64_t find(const std::string& image_name) const;  // -1: none
  int64_t only(const Names& names, const std::string& name, const std::string& image) const;

  std::string path_;
  std::shared_ptr<Dataset> masks_;
  Names paths_, stems_;
};

}  // namespace previt::cli
