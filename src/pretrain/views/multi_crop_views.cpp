#include "pretrain/views/multi_crop_views.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace previt {
namespace {

constexpr double kLocalShare = 3.0 / 7;  // 96 of 224

void fill_size(ViewSpec& view, const VitOptions& model, double share) {
  const auto size = [&](int64_t whole) {
    const double patches = share * static_cast<double>(whole / model.patch_size);
    return std::max<int64_t>(std::llround(patches), 1) * model.patch_size;
  };
  if (view.height == 0) view.height = size(model.image_height());
  if (view.width == 0) view.width = size(model.image_width());
  if (view.height % model.patch_size != 0 || view.width % model.patch_size != 0) {
    fail_usage("augment.{}: {} x {} is not a whole number of patches of {}",
               view.name,
               view.height,
               view.width,
               model.patch_size);
  }
}

}  // namespace

// As dino:main_dino.py DataAugmentationDINO: the crops differ in scale, blur and solarizing.
MultiCropOptions::MultiCropOptions() {
  global_1.name = "global_1";
  global_1.height = global_1.width = 0;
  global_1.scale = {0.4, 1};
  global_1.jitter = 0.8;
  global_1.greyscale = 0.2;
  global_2 = local = global_1;
  global_1.blur = 1;
  global_2.name = "global_2";
  global_2.blur = 0.1;
  global_2.solarize = 0.2;
  local.name = "local";
  local.scale = {0.05, 0.4};
  local.blur = 0.5;
}

std::vector<ViewSpec> MultiCropOptions::views() const {
  std::vector<ViewSpec> all = {global_1, global_2, local};
  std::erase_if(all, [](const ViewSpec& view) { return view.count == 0; });
  return all;
}

void visit(FieldVisitor& v, MultiCropOptions& o) {
  v.section("global_1", o.global_1);
  v.section("global_2", o.global_2);
  v.section("local", o.local);
}

MultiCropOptions resolve(MultiCropOptions crops,
                         int64_t global_crops,
                         int64_t local_crops,
                         const VitOptions& model) {
  crops.global_2.count = global_crops - 1;
  crops.local.count = local_crops;
  fill_size(crops.global_1, model, 1);
  fill_size(crops.global_2, model, 1);
  fill_size(crops.local, model, kLocalShare);
  return crops;
}

void require_equal_globals(const MultiCropOptions& crops) {
  const ViewSpec &first = crops.global_1, &others = crops.global_2;
  if (others.count == 0) return;
  if (first.height == others.height && first.width == others.width) return;
  fail_usage(
      "augment.global_2: must have the size of global_1, {} x {}", first.height, first.width);
}

void require_crops(const Batch& batch, int64_t crops, const std::string& method) {
  require(static_cast<int64_t>(batch.views.size()) == crops,
          "{}: takes {} crops of each image, not {}",
          method,
          crops,
          batch.views.size());
}

}  // namespace previt
