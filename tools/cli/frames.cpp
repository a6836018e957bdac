#include "cli/frames.h"

#include <torch/types.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <set>

#include "augment/open_dataset.h"
#include "augment/ops/resize.h"
#include "error.h"

namespace previt::cli {
namespace {

struct FrameSize {
  int64_t height = 0, width = 0;  ///< resized
  int64_t rows = 0, columns = 0;  ///< of it kept
};

FrameSize frame_size(int64_t height, int64_t width, int64_t side, int64_t patch) {
  const double scale = static_cast<double>(side) / static_cast<double>(std::min(height, width));
  const auto scaled = [&](int64_t length) {
    return std::max(patch, static_cast<int64_t>(std::lround(static_cast<double>(length) * scale)));
  };
  FrameSize size{.height = scaled(height), .width = scaled(width)};
  size.rows = size.height - size.height % patch;
  size.columns = size.width - size.width % patch;
  return size;
}

// 0 … size - 1 mapped onto the nearest of `source` cells.
at::Tensor nearest_cells(int64_t size, int64_t source) {
  const at::Tensor centres = torch::arange(size, torch::kFloat64) + 0.5;
  return (centres * static_cast<double>(source) / static_cast<double>(size))
      .floor()
      .to(torch::kLong)
      .clamp(0, source - 1);
}

std::string stem_of(const std::string& name) {
  return std::filesystem::path(name).stem().string();
}

}  // namespace

FrameReader::FrameReader(std::shared_ptr<Dataset> dataset, int64_t side, int64_t patch)
    : dataset_(std::move(dataset)), reader_(dataset_->reader()), side_(side), patch_(patch) {}

at::Tensor FrameReader::read(int64_t index) {
  const Image image = read_image(*reader_, index);
  const FrameSize size = frame_size(image.height, image.width, side_, patch_);
  Image out(size.height, size.width);
  resize(image,
         {0, 0, static_cast<double>(image.height), static_cast<double>(image.width)},
         {0, 0, image.height, image.width},
         Filter::bicubic,
         pass_order(image.height, image.width, size.height, size.width),
         /*flip=*/false,
         out.view());
  const at::Tensor pixels =
      torch::from_blob(out.pixels.data(), {out.height, out.width, 3}, torch::kUInt8)
          .slice(0, 0, size.rows)
          .slice(1, 0, size.columns);
  return pixels.permute({2, 0, 1}).to(torch::kFloat32).div(255).contiguous();
}

at::Tensor FrameReader::mask_of(const Image& image) const {
  const FrameSize size = frame_size(image.height, image.width, side_, patch_);
  const at::Tensor pixels =
      torch::from_blob(const_cast<uint8_t*>(image.pixels.data()),
                       {image.height, image.width, image.channels},
                       torch::kUInt8);
  const at::Tensor object = (pixels > 0).any(2);
  return object.index_select(0, nearest_cells(size.height, image.height).slice(0, 0, size.rows))
      .index_select(1, nearest_cells(size.width, image.width).slice(0, 0, size.columns));
}

std::optional<at::Tensor> FrameReader::mask(int64_t index) const {
  const auto image = dataset_->mask(index);
  if (!image) return std::nullopt;
  return mask_of(*image);
}

std::shared_ptr<Dataset> open_pictures(const std::string& path, const std::string& split) {
  namespace fs = std::filesystem;
  if (!fs::is_regular_file(path) || fs::path(path).extension() == ".h5") {
    auto dataset = open_dataset(path, split);
    require(dataset->size() > 0, "{}: no images", path);
    return dataset;
  }
  static const std::set<std::string> kEndings = {
      ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"};
  std::string ending = fs::path(path).extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (!kEndings.contains(ending)) fail("{}: not an image (JPEG, PNG, WebP, BMP, TIFF)", path);
  const fs::path parent = fs::path(path).parent_path();
  const auto folder = open_dataset(parent.empty() ? "." : parent.string(), "all");
  const std::string name = fs::path(path).filename().string();
  for (int64_t i = 0; i < folder->size(); ++i) {
    if (folder->name(i) == name) return select(folder, {i});
  }
  fail("{}: not found among the images of its folder", path);
}

std::string picture_name(int64_t index, const std::string& name) {
  std::string safe = (std::filesystem::path(name).parent_path() / stem_of(name)).string();
  for (char& c : safe) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.') c = '_';
  }
  return fmt::format("{:05}_{}", index, safe);
}

MaskFolder::MaskFolder(const std::string& path) : masks_(open_dataset(path, "all")) {
  for (int64_t i = 0; i < masks_->size(); ++i) stems_.emplace_back(stem_of(masks_->name(i)), i);
  std::sort(stems_.begin(), stems_.end());
}

std::optional<Image> MaskFolder::find(const std::string& image_name) const {
  const std::string stem = stem_of(image_name);
  const auto at = std::lower_bound(stems_.begin(), stems_.end(), std::make_pair(stem, int64_t{0}));
  if (at == stems_.end() || at->first != stem) return std::nullopt;
  return read_image(*masks_->reader(), at->second);
}

}  // namespace previt::cli
