#include "batch.h"

#include <c10/core/InferenceMode.h>
#include <torch/types.h>

#include <map>
#include <mutex>
#include <tuple>

#include "error.h"
#include "grey.h"
#include "json_options.h"
#include "upload.h"
#include "view_ops.h"

namespace previt {
namespace {

double largest(const at::Tensor& pixels) { return pixels.scalar_type() == torch::kUInt8 ? 255 : 1; }

// The same values as float32, contiguous; grey if `options` are for one channel.
at::Tensor floats_on(const at::Tensor& pixels, const NormalizeOptions& options, at::Device device) {
  const bool grey = pixels.size(1) == 3 && options.mean.size() == 1;
  const at::Tensor there = upload(pixels, device);
  return (grey ? grey_of(there) : there)
      .to(torch::kFloat32, false, false, torch::MemoryFormat::Contiguous);
}

// [1, C, 1, 1] each: (pixel - mean) / std is pixel · scale + offset.
struct Constants {
  at::Tensor mean, std, scale, offset;
};

// Made once for each device: a step that made them anew would make the device wait for the host.
// `unit` is the value of white.
const Constants& constants_on(at::Device device, const NormalizeOptions& options, double unit) {
  using Key = std::tuple<std::string, std::vector<double>, std::vector<double>, double>;
  static std::mutex mutex;
  // Never destroyed: the device may be gone before static objects are.
  static auto& made = *new std::map<Key, Constants>;
  const std::lock_guard lock(mutex);
  Constants& c = made[{device.str(), options.mean, options.std, unit}];
  if (c.mean.defined()) return c;
  const c10::InferenceMode none(false);  // a caller's would make tensors that can't be trained with
  const at::Tensor mean = torch::tensor(options.mean, torch::kFloat32).view({1, -1, 1, 1});
  const at::Tensor std = torch::tensor(options.std, torch::kFloat32).view({1, -1, 1, 1});
  c = {upload(mean, device),
       upload(std, device),
       upload(1 / (unit * std), device),
       upload(-mean / std, device)};
  return c;
}

void visit_cut(FieldVisitor& v, ViewSpec& o) {
  v.field("height", o.height, "pixels; 0: as model.image_size", at_least(0));
  v.field("width", o.width, "pixels; 0: as model.image_size", at_least(0));
  v.field("crop", o.crop, "how the view is cut out");
  v.field("scale", o.scale, "share of the image's area, lowest and highest", {0, 1, true});
  v.field("ratio", o.ratio, "width over height, lowest and highest", above(0));
  v.field("interpolation", o.interpolation, "filter of the resize");
  v.field("crop_pct", o.crop_pct, "for center: size / resized short side", {0, 1, true});
  v.field("flip", o.flip, "probability of a horizontal flip", between(0, 1));
  v.check("scale", wrong_bounds(o.scale));
  v.check("ratio", wrong_bounds(o.ratio));
}

}  // namespace

void visit(FieldVisitor& v, ViewSpec& o) {
  visit_cut(v, o);
  for (const auto& operation : view_operations()) operation.visit(v, o);
}

nlohmann::json view_identity(ViewSpec view) {
  JsonOptionsWriter writer;
  visit_cut(writer, view);
  for (const auto& operation : view_operations()) {
    if (operation.named_when_off || operation.on(view)) operation.visit(writer, view);
  }
  return std::move(writer).result();
}

ViewSpec evaluation_view(int64_t height,
                         int64_t width,
                         double crop_pct,
                         Interpolation interpolation) {
  ViewSpec spec;
  spec.name = "eval";
  spec.height = height;
  spec.width = width;
  spec.crop = CropKind::center;
  spec.crop_pct = crop_pct;
  spec.interpolation = interpolation;
  spec.flip = 0;
  return spec;
}

int64_t uncropped_side(int64_t side, double crop_pct) {
  // The small term keeps a quotient such as 224 / 0.875 from ending just below 256.
  return static_cast<int64_t>(static_cast<double>(side) / crop_pct + 1e-6);
}

void visit(FieldVisitor& v, NormalizeOptions& o) {
  v.field("mean", o.mean, "per channel, of pixels in [0, 1]", between(0, 1));
  v.field("std", o.std, "per channel, of pixels in [0, 1]", above(0));
}

at::Tensor normalize(const at::Tensor& pixels, const NormalizeOptions& options, at::Device device) {
  const at::Tensor floats = floats_on(pixels, options, device);
  const int64_t channels = floats.size(1);
  require(static_cast<int64_t>(options.mean.size()) == channels &&
              static_cast<int64_t>(options.std.size()) == channels,
          "normalize: {} channels but {} means and {} standard deviations",
          channels,
          options.mean.size(),
          options.std.size());
  const Constants& c = constants_on(device, options, largest(pixels));
  // One pass over the pixels; on the CPU two, whose loops have vectors.
  if (!device.is_cpu()) return at::addcmul(c.offset, floats, c.scale);
  return floats.mul(c.scale).add_(c.offset);
}

at::Tensor denormalize(const at::Tensor& images, const NormalizeOptions& options) {
  const Constants& c = constants_on(images.device(), options, 1);
  return images * c.std + c.mean;
}

Batch to_device(Batch batch,
                const std::vector<ViewSpec>& specs,
                const NormalizeOptions& options,
                at::Device device) {
  auto view = batch.views.begin();
  for (const ViewSpec& spec : specs) {
    for (int64_t crop = 0; crop < spec.count && view != batch.views.end(); ++crop, ++view) {
      *view = spec.pixels == PixelScale::kPlain
                  ? floats_on(*view, options, device).div(largest(*view))
                  : normalize(*view, options, device);
    }
  }
  require(view == batch.views.end(), "a batch has more views than were asked for");
  if (batch.labels.defined()) batch.labels = upload(batch.labels, device);
  return batch;
}

std::vector<at::Tensor*> device_tensors(Batch& batch) {
  std::vector<at::Tensor*> tensors;
  for (at::Tensor& view : batch.views) tensors.push_back(&view);
  if (batch.labels.defined()) tensors.push_back(&batch.labels);
  for (at::Tensor& one : batch.drawn) tensors.push_back(&one);
  return tensors;
}

Batch first_images(Batch batch, int64_t count) {
  for (auto& view : batch.views) view = view.slice(0, 0, count);
  if (batch.labels.defined()) batch.labels = batch.labels.slice(0, 0, count);
  if (batch.indices.defined()) batch.indices = batch.indices.slice(0, 0, count);
  batch.drawn.clear();  // of all images
  return batch;
}

}  // namespace previt
