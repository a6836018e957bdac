#include "commands/training_data.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "augment/device_augment.h"
#include "augment/loader.h"
#include "communicator.h"
#include "error.h"
#include "log.h"

namespace previt::cli {
namespace {

// The one size of all images, judged by 100 of them, spread evenly.
ImageSize common_size(const Dataset& images, const std::string& path) {
  constexpr int64_t kLookedAt = 100;
  const int64_t count = std::min(images.size(), kLookedAt);
  const auto reader = images.reader();
  std::optional<ImageSize> common;
  for (int64_t i = 0; i < count; ++i) {
    ImageSize size;
    try {
      size = reader->open(i * images.size() / count);
    } catch (const Error&) {  // the loader reports it
      continue;
    }
    if (!common) common = size;
    if (size == *common) continue;
    fail_usage("data.canvas: images of {} are {} x {} and {} x {}; give a side for all of them",
               path,
               common->height,
               common->width,
               size.height,
               size.width);
  }
  require(common.has_value(), "{}: none of {} images can be read", path, count);
  return *common;
}

// The view from which the device makes all others: whole images of one size.
ViewSpec canvas_of(const Dataset& images, const DataOptions& data) {
  ViewSpec canvas{.name = "data.canvas", .crop = CropKind::resize, .flip = 0};
  if (data.canvas > 0) {
    canvas.height = canvas.width = data.canvas;
    return canvas;
  }
  const ImageSize size = common_size(images, data.path);
  canvas.height = size.height;
  canvas.width = size.width;
  canvas.crop = CropKind::none;
  return canvas;
}

}  // namespace

std::vector<ViewSpec> loaded_views(const DataOptions& data,
                                   const Dataset& images,
                                   const std::vector<ViewSpec>& views) {
  switch (data.device_augment) {
    case DeviceAugment::none:
      return views;
    case DeviceAugment::colors:
      return cut_only(views);
    default:
      return {canvas_of(images, data)};
  }
}

std::unique_ptr<BatchSource> training_source(const RunOptions& run,
                                             std::shared_ptr<Dataset> images,
                                             const std::vector<ViewSpec>& views,
                                             at::Device device) {
  const DataOptions& data = run.data;
  run.train.require_shareable();
  const LoaderOptions options{.batch = run.train.micro(),
                              .step = run.train.batch,
                              .shuffle = true,
                              .drop_last = run.train.drop_last,
                              .workers = data.workers,
                              .prefetch = data.prefetch,
                              .seed = static_cast<uint64_t>(run.train.seed),
                              .max_bad_fraction = data.max_bad_fraction,
                              .rank = world().rank(),
                              .of = world().size()};
  const std::vector<ViewSpec> loaded = loaded_views(data, *images, views);
  auto source = make_loader(std::move(images), loaded, options, log_warning);
  switch (data.device_augment) {
    case DeviceAugment::none:
      return source;
    case DeviceAugment::colors:
      return make_device_colors(std::move(source), views, options.seed, device);
    default:
      return make_device_augment(std::move(source), views, options.seed, device);
  }
}

}  // namespace previt::cli
