#include <fmt/format.h>

#include <set>

#include "augment/device_ops.h"
#include "augment/image.h"
#include "augment/ops/blur.h"
#include "augment/ops/color.h"
#include "augment/ops/crop.h"
#include "augment/ops/geometric.h"
#include "augment/ops/jitter.h"
#include "augment/ops/rand_augment.h"
#include "augment/views.h"
#include "error.h"
#include "parity/parity.h"
#include "support/replay.h"

using namespace previt;
using parity::Check;
using parity::Fixture;

namespace {

Image image_of(const at::Tensor& tensor) {
  Image image(tensor.size(0), tensor.size(1), tensor.dim() == 3 ? tensor.size(2) : 1);
  std::memcpy(image.pixels.data(), tensor.contiguous().data_ptr<uint8_t>(), image.pixels.size());
  return image;
}

at::Tensor tensor_of(const Image& image) {
  return torch::tensor(at::ArrayRef<uint8_t>(image.pixels), torch::kUInt8)
      .view({image.height, image.width, image.channels});
}

// The fixture's image after one operation in place.
template <class Operation>
at::Tensor changed(const Fixture& fixture, Operation operation) {
  Image image = image_of(fixture.at("input.image_hwc_u8"));
  operation(image.view());
  return tensor_of(image);
}

at::Tensor rendered(const Fixture& fixture, const ViewSpec& spec, const ViewPlan& plan) {
  const Image image = image_of(fixture.at("input.image_hwc_u8"));
  const Region region{.pixels = image, .box = {0, 0, image.height, image.width}};
  Image view(spec.height, spec.width);
  render_view(region, spec, plan, view.pixels.data());
  return tensor_of(view);
}

ViewPlan plan_of(const std::vector<int64_t>& box, const ViewSpec& spec) {
  return {.crop = crop_of_box({box[0], box[1], box[2], box[3]}, spec)};
}

// Keys end in the factor as Python prints it: "brightness_0.6".
std::string key_of(const std::string& name, const nlohmann::json& factor) {
  return name + "_" + factor.dump();
}

at::Tensor normalized(const at::Tensor& hwc) {
  return normalize(hwc.permute({2, 0, 1}).unsqueeze(0), NormalizeOptions{}, torch::kCPU).squeeze(0);
}

// [1, 3, H, W] in [0, 1].
at::Tensor floats(const Fixture& fixture) {
  return fixture.at("input.image_hwc_u8").permute({2, 0, 1}).unsqueeze(0).to(torch::kFloat32) / 255;
}

// The device's resize of one box, as torchvision does it on float tensors.
at::Tensor resized_tensor(const Fixture& fixture,
                          const std::vector<int64_t>& box,
                          const std::vector<int64_t>& size,
                          Interpolation filter,
                          bool antialias) {
  const at::Tensor image = floats(fixture);
  const auto weights = [&](int64_t start, int64_t extent, int64_t pixels, int64_t out) {
    const Axis axis{double(start), double(extent), start, start + extent, out};
    DeviceLists lists;
    const AxisLists axes = list_axes({axis}, {false}, lists);
    lists.upload(torch::kCPU);
    return resize_matrices(axes, pixels, filter, antialias);
  };
  return resample(image,
                  weights(box[0], box[2], image.size(2), size[0]),
                  weights(box[1], box[3], image.size(3), size[1]))
      .squeeze(0);
}

template <int kGreys, int kMeans>
at::Tensor blended(const at::Tensor& images, const at::Tensor& factors) {
  blend_colors(
      images, torch::full_like(factors, kGreys), torch::full_like(factors, kMeans), factors);
  return images;
}

using TensorOperation = at::Tensor (*)(const at::Tensor&, const at::Tensor&);

void check_tensor_colors(const Fixture& fixture,
                         Check& check,
                         const std::string& name,
                         TensorOperation operation) {
  for (const auto& factor : fixture.config.at("factors").at(name)) {
    const std::string key = key_of("output.tensor_" + name, factor);
    check.t1(key,
             operation(floats(fixture), torch::tensor({factor.get<float>()})).squeeze(0),
             fixture.at(key));
  }
}

}  // namespace

PARITY_CASE(aug_rrc_params) {
  const auto images = fixture.config.at("images_hw").get<std::vector<std::vector<int64_t>>>();
  const auto params = fixture.config.at("params").get<std::vector<std::vector<double>>>();
  for (size_t i = 0; i < images.size(); ++i) {
    for (size_t p = 0; p < params.size(); ++p) {
      const at::Tensor want = fixture.at(fmt::format("output.boxes_{}_{}", i, p));
      at::Tensor got = torch::zeros_like(want);
      for (int64_t n = 0; n < want.size(0); ++n) {
        ReplayedDraws draws(fixture.at(fmt::format("input.draws_{}_{}_{}", i, p, n)));
        const Box box = random_resized_crop(images[i][0],
                                            images[i][1],
                                            {params[p][0], params[p][1]},
                                            {params[p][2], params[p][3]},
                                            draws);
        got[n].copy_(torch::tensor({box.top, box.left, box.height, box.width}));
        check.that(fmt::format("draws {} {} {} all used", i, p, n), draws.finished());
      }
      check.exact(fmt::format("boxes_{}_{}", i, p), got, want);
    }
  }
}

PARITY_CASE(aug_resized_crop) {
  const auto size = fixture.config.at("size").get<std::vector<int64_t>>();
  const auto boxes = fixture.config.at("boxes").get<std::vector<std::vector<int64_t>>>();
  for (size_t b = 0; b < boxes.size(); ++b) {
    for (const auto filter : {Interpolation::bicubic, Interpolation::bilinear}) {
      const ViewSpec spec{.height = size[0], .width = size[1], .interpolation = filter};
      const std::string key = fmt::format("output.pil_{}_{}", name_of(filter), b);
      check.pixels(key, rendered(fixture, spec, plan_of(boxes[b], spec)), fixture.at(key), 1);
      for (const bool antialias : {true, false}) {
        const std::string tensor_key = fmt::format(
            "output.tensor_{}{}_{}", name_of(filter), antialias ? "" : "_noantialias", b);
        if (!fixture.has(tensor_key)) continue;
        check.t1(tensor_key,
                 resized_tensor(fixture, boxes[b], size, filter, antialias),
                 fixture.at(tensor_key));
      }
    }
  }
  const at::Tensor image = fixture.at("input.image_hwc_u8");
  check.exact("hflip", changed(fixture, flip_horizontally), fixture.at("output.hflip"));
  const ViewSpec same{.height = image.size(0), .width = image.size(1), .crop = CropKind::none};
  ViewPlan flipped = plan_of({0, 0, image.size(0), image.size(1)}, same);
  flipped.flip = true;
  check.exact("flipped view", rendered(fixture, same, flipped), fixture.at("output.hflip"));

  const at::Tensor resized = fixture.at("output.eval_resized");
  const ViewSpec whole{
      .height = resized.size(0), .width = resized.size(1), .crop = CropKind::resize};
  check.pixels("eval_resized",
               rendered(fixture, whole, plan_of({0, 0, image.size(0), image.size(1)}, whole)),
               resized,
               1);

  const double center = fixture.number("center");
  const ViewSpec eval = evaluation_view(center, center, center / fixture.number("resize_short"));
  Random unused(0);
  const at::Tensor crop =
      rendered(fixture, eval, plan_views({eval}, image.size(0), image.size(1), unused).front());
  check.pixels("eval_center_crop", crop, fixture.at("output.eval_center_crop"), 1);
  check.t1("eval_normalized",
           normalized(fixture.at("output.eval_center_crop")),
           fixture.at("output.eval_normalized"));
}

PARITY_CASE(aug_color) {
  const auto& factors = fixture.config.at("factors");
  const auto each = [&](const std::string& name, double tolerance, double share, auto operation) {
    for (const auto& factor : factors.at(name)) {
      const std::string key = key_of("output." + name, factor);
      check.pixels(key,
                   changed(fixture, [&](Pixels p) { operation(p, factor.get<double>()); }),
                   fixture.at(key),
                   tolerance,
                   share);
    }
  };
  each("brightness", 1, 1, [](Pixels p, double factor) { adjust_brightness(p, factor); });
  each("contrast", 1, 1, [](Pixels p, double factor) { adjust_contrast(p, factor); });
  each("saturation", 1, 1, [](Pixels p, double factor) { adjust_saturation(p, factor); });
  each("hue", 2, 0.99, [](Pixels p, double factor) { adjust_hue(p, factor); });

  check_tensor_colors(fixture, check, "brightness", blended<0, 0>);
  check_tensor_colors(fixture, check, "contrast", blended<0, 1>);
  check_tensor_colors(fixture, check, "saturation", blended<1, 0>);
  check_tensor_colors(fixture, check, "hue", turn_hue);

  for (const auto& sigma : fixture.config.at("blur")) {
    const std::string key = key_of("output.gaussian_blur", sigma);
    check.pixels(key,
                 changed(fixture, [&](Pixels p) { gaussian_blur(p, sigma.get<double>()); }),
                 fixture.at(key),
                 1);
  }
  for (const auto& threshold : fixture.config.at("solarize")) {
    const std::string key = key_of("output.solarize", threshold);
    check.exact(key,
                changed(fixture, [&](Pixels p) { solarize(p, threshold.get<int64_t>()); }),
                fixture.at(key));
  }
  const at::Tensor grey = changed(fixture, to_greyscale);
  check.pixels("grayscale3", grey, fixture.at("output.grayscale3"), 1);
  check.pixels("grayscale_L", grey.select(2, 0), fixture.at("output.grayscale_L"), 1);
  check.pixels("pil_hsv", changed(fixture, rgb_to_hsv), fixture.at("output.pil_hsv"), 1);
  check.t1(
      "normalized", normalized(fixture.at("input.image_hwc_u8")), fixture.at("output.normalized"));

  const auto& combos = fixture.config.at("combos");
  for (size_t i = 0; i < combos.size(); ++i) {
    ViewPlan plan;
    plan.drawn["jitter"] = Jitter{.order = combos[i][0].get<std::array<int, 4>>(),
                                  .brightness = combos[i][1],
                                  .contrast = combos[i][2],
                                  .saturation = combos[i][3],
                                  .hue = combos[i][4]};
    const std::string key = fmt::format("output.jitter_{}", i);
    check.pixels(key,
                 changed(fixture, [&](Pixels p) { apply_operations({}, plan, p); }),
                 fixture.at(key),
                 2,
                 0.99);
  }
}

PARITY_CASE(aug_randaugment_ops) {
  // What only looks values up has no rounding of its own.
  const std::set<std::string> exact = {
      "AutoContrast", "Equalize", "Invert", "Posterize", "Solarize", "SolarizeAdd"};
  const auto fill_values = fixture.config.at("fill").get<std::vector<uint8_t>>();
  const Fill fill{fill_values[0], fill_values[1], fill_values[2]};
  const auto& operations = fixture.config.at("ops");
  for (size_t i = 0; i < operations.size(); ++i) {
    const auto& arguments = operations[i][1];
    const std::string name = operations[i][0];
    const RandOperation& operation = rand_operation(name);
    const double argument = arguments.empty() ? 0 : arguments[0].get<double>();
    for (const auto interpolation : {Interpolation::bicubic, Interpolation::bilinear}) {
      const std::string key = fmt::format(
          "output.op_{}{}", i, interpolation == Interpolation::bilinear ? "_bilinear" : "");
      if (!fixture.has(key)) continue;
      const Resampling how{.filter = interpolation, .fill = fill};
      const at::Tensor got = changed(fixture, [&](Pixels p) { operation.apply(p, argument, how); });
      check.pixels(
          fmt::format("{} ({})", key, name), got, fixture.at(key), exact.contains(name) ? 0 : 1);
    }
  }
  for (const auto& [name, want] : fixture.group("output.level_")) {
    at::Tensor got = torch::zeros_like(want);
    for (int64_t magnitude = 0; magnitude < want.size(0); ++magnitude) {
      got[magnitude] = rand_operation(name).argument(static_cast<double>(magnitude) / 10, true);
    }
    check.t4("level_" + name, got, want);
  }
}
