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

/// Images in their own aspect ratio, for a network that takes any size. The short side is resized,
/// and the right and lower edges are cut to whole patches, as in dino:visualize_attention.py.
class FrameReader {
 public:
  /// side: pixels of the short side.
  FrameReader(std::shared_ptr<Dataset> dataset, int64_t side, int64_t patch);

  /// H and W of what read() gives, from the image's header alone. Throws as it does.
  ImageSize size(int64_t index);
  /// Float32 [3, H, W] in [0, 1]. Throws Error that says why the image can't be read.
  at::Tensor read(int64_t index);

  /// The object mask that the dataset has for the image, cut in the same way: bool [H, W]. Nothing
  /// where it has none.
  std::optional<at::Tensor> mask(int64_t index) const;

  /// The same for a mask that is given as an image: what is not black is the object.
  at::Tensor mask_of(const Image& image) const;

 private:
  std::shared_ptr<Dataset> dataset_;
  std::unique_ptr<SampleReader> reader_;
  int64_t side_, patch_;
};

/// Opens images to look at: what open_dataset takes, or one image file, whatever its name and
/// whatever lies beside it. Throws Error where there are none.
std::shared_ptr<Dataset> open_pictures(const std::string& path, Split split);

/// The same images in the order in which people count: frame_2 before frame_10.
std::shared_ptr<Dataset> in_natural_order(std::shared_ptr<Dataset> images);

/// A file name without ending: "train/dog/a b.jpg" as picture 12 gives "000012_train_dog_a_b".
std::string picture_name(int64_t number, const std::string& name);

/// The masks of a folder. An image's mask has the image's path inside the folder, or else is the
/// only one with its file name; endings don't count. Throws UsageError where several fit.
class MaskFolder {
 public:
  explicit MaskFolder(const std::string& path);
  bool has(const std::string& image_name) const { return find(image_name) >= 0; }
  /// The mask of an image; nothing where the folder has none. Throws Error where it can't be read.
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
