#include "commands/attention_pictures.h"

#include <torch/types.h>

#include <algorithm>

#include "augment/encode_png.h"
#include "error.h"
#include "files.h"
#include "finetune/pictures/heat_map.h"
#include "pretrain/pictures/contact_sheet.h"

namespace previt::cli {
namespace {

constexpr size_t kSheetRows = 8;
constexpr int64_t kSheetHeads = 12;  // more make the sheet too wide to look at
constexpr int64_t kThumbnail = 144;

void write_png(const std::string& path, const at::Tensor& picture) {
  write_whole_file(path, encode_png(to_pixels(picture)));
}

at::Tensor whitened(const at::Tensor& mask) {
  return mask.to(torch::kFloat32).unsqueeze(0).expand({3, -1, -1}).contiguous();
}

}  // namespace

void write_pictures(const std::string& out, const Attended& image) {
  const std::string overlays = out + "/overlays/" + image.name;
  const std::string masks = out + "/masks/" + image.name;
  for (int64_t head = 0; head < image.maps.size(0); ++head) {
    write_png(fmt::format("{}_head{}.png", overlays, head),
              heat_overlay(image.picture, image.maps[head]));
    write_png(fmt::format("{}_head{}.png", masks, head), cut_out(image.picture, image.masks[head]));
  }
  write_png(overlays + "_mean.png", heat_overlay(image.picture, image.maps.mean(0)));
}

at::Tensor side_by_side(const Attended& image) {
  return to_pixels(torch::cat({image.picture, heat_overlay(image.picture, image.maps.mean(0))}, 2));
}

bool AttentionSheet::full() const { return rows_.size() >= kSheetRows; }

void AttentionSheet::add(const Attended& image) {
  const int64_t heads = std::min(image.maps.size(0), kSheetHeads);
  std::vector<std::string> titles = {"image", "mean"};
  std::vector<at::Tensor> row = {image.picture, heat_overlay(image.picture, image.maps.mean(0))};
  for (int64_t head = 0; head < heads; ++head) {
    titles.push_back(fmt::format("head {}", head));
    row.push_back(heat_overlay(image.picture, image.maps[head]));
  }
  if (image.truth.defined()) {
    titles.push_back("object");
    row.push_back(whitened(image.truth));
  }
  if (titles_.empty()) titles_ = titles;
  if (row.size() != titles_.size()) return;  // one image has an object mask and another has not
  for (at::Tensor& picture : row) picture = thumbnail(picture, kThumbnail);
  rows_.push_back(std::move(row));
}

void AttentionSheet::write(const std::string& out, const std::string& note) const {
  if (rows_.empty()) return;
  ContactSheet sheet{.columns = {}, .note = note};
  for (size_t column = 0; column < titles_.size(); ++column) {
    std::vector<at::Tensor> pictures;
    for (const auto& row : rows_) pictures.push_back(row[column]);
    sheet.columns.push_back({titles_[column], torch::stack(pictures)});
  }
  write_whole_file(out + "/contact_sheet.png", encode_png(sheet.draw()));
}

}  // namespace previt::cli
