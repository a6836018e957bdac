#include "cli/frames.h"

#include <torch/types.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <string_view>

#ifdef PREVIT_WITH_IMAGE_IO
#include "augment/io/image_file.h"
#endif
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

// For each of `size` positions the nearest of `source` cells.
at::Tensor nearest_cells(int64_t size, int64_t source) {
  const at::Tensor centres = torch::arange(size, torch::kFloat64) + 0.5;
  return (centres * static_cast<double>(source) / static_cast<double>(size))
      .floor()
      .to(torch::kLong)
      .clamp(0, source - 1);
}

std::string stem_of(const std::string& name) { return std::filesystem::path(name).stem().string(); }

std::string without_ending(const std::string& name) {
  return (std::filesystem::path(name).parent_path() / stem_of(name)).string();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes the number off the start of `text`, without its leading zeros.
std::string_view take_number(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  std::string_view number = text.substr(0, end);
  text.remove_prefix(end);
  number.remove_prefix(std::min(number.find_first_not_of('0'), number.size()));
  return number;
}

// Compares numbers in names by value, and all else letter by letter.
bool natural_less(const std::string& a, const std::string& b) {
  std::string_view left = a, right = b;
  while (!left.empty() && !right.empty()) {
    if (is_digit(left.front()) && is_digit(right.front())) {
      const std::string_view x = take_number(left), y = take_number(right);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      continue;
    }
    if (left.front() != right.front()) return left.front() < right.front();
    left.remove_prefix(1);
    right.remove_prefix(1);
  }
  return left.empty() != right.empty() ? left.empty() : a < b;
}

}  // namespace

FrameReader::FrameReader(std::shared_ptr<Dataset> dataset, int64_t side, int64_t patch)
    : dataset_(std::move(dataset)), reader_(dataset_->reader()), side_(side), patch_(patch) {}

ImageSize FrameReader::size(int64_t index) {
  const ImageSize image = reader_->open(index);
  const FrameSize size = frame_size(image.height, image.width, side_, patch_);
  return {size.rows, size.columns};
}

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
  // from_blob takes no pointer to const; nothing is written here.
  const at::Tensor pixels = torch::from_blob(const_cast<uint8_t*>(image.pixels.data()),
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

std::shared_ptr<Dataset> open_pictures(const std::string& path, Split split) {
#ifdef PREVIT_WITH_IMAGE_IO
  if (is_image_file(path)) return open_image_file(path);
#endif
  auto dataset = open_dataset(path, split);
  require(dataset->size() > 0, "{}: no images", path);
  return dataset;
}

std::shared_ptr<Dataset> in_natural_order(std::shared_ptr<Dataset> images) {
  std::vector<std::pair<std::string, int64_t>> names;
  for (int64_t i = 0; i < images->size(); ++i) names.emplace_back(images->name(i), i);
  std::stable_sort(names.begin(), names.end(), [](const auto& a, const auto& b) {
    return natural_less(a.first, b.first);
  });
  std::vector<int64_t> order;
  for (const auto& [name, index] : names) order.push_back(index);
  return select(std::move(images), std::move(order));
}

std::string picture_name(int64_t number, const std::string& name) {
  constexpr size_t kMost = 150;  // bytes; names of files have 255, and more is appended to this one
  std::string safe = without_ending(name);
  if (safe.size() > kMost) safe.erase(0, safe.size() - kMost);
  for (char& c : safe) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.') c = '_';
  }
  return fmt::format("{:06}_{}", number, safe);
}

MaskFolder::MaskFolder(const std::string& path)
    : path_(path), masks_(open_dataset(path, Split::all)) {
  for (int64_t i = 0; i < masks_->size(); ++i) {
    const std::string name = masks_->name(i);
    paths_.emplace_back(without_ending(name), i);
    stems_.emplace_back(stem_of(name), i);
  }
  std::sort(paths_.begin(), paths_.end());
  std::sort(stems_.begin(), stems_.end());
}

int64_t MaskFolder::only(const Names& names,
                         const std::string& name,
                         const std::string& image) const {
  auto at = std::lower_bound(names.begin(), names.end(), std::make_pair(name, int64_t{0}));
  if (at == names.end() || at->first != name) return -1;
  const int64_t found = at->second;
  if (++at != names.end() && at->first == name) {
    fail_usage("{}: {} and {} may both be the mask of {}; lay masks out in folders as the images",
               path_,
               masks_->name(found),
               masks_->name(at->second),
               image);
  }
  return found;
}

int64_t MaskFolder::find(const std::string& image_name) const {
  const int64_t same_path = only(paths_, without_ending(image_name), image_name);
  return same_path >= 0 ? same_path : only(stems_, stem_of(image_name), image_name);
}

std::optional<Image> MaskFolder::read(const std::string& image_name) const {
  const int64_t found = find(image_name);
  if (found < 0) return std::nullopt;
  return read_image(*masks_->reader(), found);
}

}  // namespace previt::cli
