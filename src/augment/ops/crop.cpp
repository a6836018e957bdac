#include "augment/ops/crop.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace previt {
namespace {

struct Size {
  int64_t height, width;
};

// One attempt at a size. As in torchvision, the logs of the ratio's bounds are taken in single
// precision, and sides are rounded half to even.
Size draw_size(double area,
               const std::vector<double>& scale,
               const std::vector<double>& ratio,
               Draws& draws) {
  const double target = area * draws.uniform(scale[0], scale[1]);
  const double log_ratio =
      draws.uniform(std::log(static_cast<float>(ratio[0])), std::log(static_cast<float>(ratio[1])));
  const double aspect = std::exp(static_cast<float>(log_ratio));
  return {.height = std::llrint(std::sqrt(target / aspect)),
          .width = std::llrint(std::sqrt(target * aspect))};
}

Box place(const Size& size, int64_t image_height, int64_t image_width, Draws& draws) {
  Box box{.height = size.height, .width = size.width};
  box.top = draws.integer(0, image_height - size.height + 1);
  box.left = draws.integer(0, image_width - size.width + 1);
  return box;
}

Box largest_central(int64_t image_height, int64_t image_width, const std::vector<double>& ratio) {
  const double image_ratio = static_cast<double>(image_width) / static_cast<double>(image_height);
  Size size{image_height, image_width};
  if (image_ratio < ratio[0])
    size.height = std::llrint(static_cast<double>(image_width) / ratio[0]);
  if (image_ratio > ratio[1])
    size.width = std::llrint(static_cast<double>(image_height) * ratio[1]);
  return {.top = (image_height - size.height) / 2,
          .left = (image_width - size.width) / 2,
          .height = size.height,
          .width = size.width};
}

// The part of one axis that a centre crop shows, and the pixels that its filter may reach.
struct Span {
  double origin, extent;
  int64_t low, high;
};

Span centre_span(int64_t source, int64_t resized, int64_t cropped, double filter_radius) {
  const double step = static_cast<double>(source) / static_cast<double>(resized);
  const double offset = std::nearbyint(static_cast<double>(resized - cropped) / 2.0);
  Span span{.origin = offset * step,
            .extent = static_cast<double>(cropped) * step,
            .low = 0,
            .high = source};
  const double margin = filter_radius * std::max(step, 1.0) + 1;
  span.low = std::max<int64_t>(0, static_cast<int64_t>(std::floor(span.origin - margin)));
  span.high = std::min(source, static_cast<int64_t>(std::ceil(span.origin + span.extent + margin)));
  return span;
}

}  // namespace

Crop crop_of_box(const Box& box, const ViewSpec& spec) {
  return {.box = box,
          .window = {static_cast<double>(box.top),
                     static_cast<double>(box.left),
                     static_cast<double>(box.height),
                     static_cast<double>(box.width)},
          .order = pass_order(box.height, box.width, spec.height, spec.width)};
}

Box random_resized_crop(int64_t image_height,
                        int64_t image_width,
                        const std::vector<double>& scale,
                        const std::vector<double>& ratio,
                        Draws& draws) {
  constexpr int kAttempts = 10;
  const auto area = static_cast<double>(image_height * image_width);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const Size size = draw_size(area, scale, ratio, draws);
    if (size.height < 1 || size.width < 1) continue;
    if (size.height > image_height || size.width > image_width) continue;
    return place(size, image_height, image_width, draws);
  }
  return largest_central(image_height, image_width, ratio);
}

Box single_draw_crop(int64_t image_height,
                     int64_t image_width,
                     const std::vector<double>& scale,
                     const std::vector<double>& ratio,
                     Draws& draws) {
  Size size = draw_size(static_cast<double>(image_height * image_width), scale, ratio, draws);
  size.height = std::clamp<int64_t>(size.height, 1, image_height);
  size.width = std::clamp<int64_t>(size.width, 1, image_width);
  return place(size, image_height, image_width, draws);
}

Crop center_crop(int64_t image_height,
                 int64_t image_width,
                 int64_t view_height,
                 int64_t view_width,
                 double crop_pct,
                 Interpolation interpolation) {
  // The side that needs the larger factor gets its exact size; the other follows, truncated.
  Size resized{uncropped_side(view_height, crop_pct), uncropped_side(view_width, crop_pct)};
  if (resized.height * image_width >= resized.width * image_height) {
    resized.width = std::max(view_width, resized.height * image_width / image_height);
  } else {
    resized.height = std::max(view_height, resized.width * image_height / image_width);
  }
  const double radius = filter_radius(interpolation);
  const Span y = centre_span(image_height, resized.height, view_height, radius);
  const Span x = centre_span(image_width, resized.width, view_width, radius);
  return {.box = {.top = y.low, .left = x.low, .height = y.high - y.low, .width = x.high - x.low},
          .window = {y.origin, x.origin, y.extent, x.extent},
          .order = pass_order(image_height, image_width, resized.height, resized.width)};
}

Crop plan_crop(const ViewSpec& spec, int64_t image_height, int64_t image_width, Draws& draws) {
  if (spec.crop == CropKind::random_resized) {
    return crop_of_box(
        random_resized_crop(image_height, image_width, spec.scale, spec.ratio, draws), spec);
  }
  if (spec.crop == CropKind::single_draw) {
    return crop_of_box(single_draw_crop(image_height, image_width, spec.scale, spec.ratio, draws),
                       spec);
  }
  if (spec.crop == CropKind::center) {
    return center_crop(
        image_height, image_width, spec.height, spec.width, spec.crop_pct, spec.interpolation);
  }
  require(spec.crop != CropKind::none || (image_height == spec.height && image_width == spec.width),
          "{}: crop none takes images of {}x{} only, not {}x{}",
          spec.name,
          spec.height,
          spec.width,
          image_height,
          image_width);
  return crop_of_box({.top = 0, .left = 0, .height = image_height, .width = image_width}, spec);
}

}  // namespace previt
