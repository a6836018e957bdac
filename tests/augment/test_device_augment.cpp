#include <numeric>

#include "augment/device_augment.h"
#include "augment/ops/jitter.h"
#include "augment/ops/operation.h"
#include "error.h"
#include "pretrain/views/multi_crop_views.h"
#include "support/catch.h"
#include "support/counted_device.h"
#include "support/test_device.h"
#include "support/view_with.h"

using namespace previt;

namespace {

// Smooth colours: near grey, hue jumps at the last bit of 8.
at::Tensor pictures(int64_t count, int64_t height, int64_t width) {
  const at::Tensor y = torch::arange(height).view({1, 1, height, 1}) * 0.07;
  const at::Tensor x = torch::arange(width).view({1, 1, 1, width}) * 0.05;
  const at::Tensor phase = torch::tensor({0.0, 2.0, 4.0}).view({1, 3, 1, 1}) +
                           torch::arange(count).view({count, 1, 1, 1});
  return (128 + 90 * torch::sin(y + x + phase)).to(torch::kUInt8);
}

at::Tensor on_host(const at::Tensor& canvas, const ViewSpec& spec, const ViewPlan& plan) {
  const at::Tensor interleaved = canvas.permute({1, 2, 0}).contiguous();
  Image image(canvas.size(1), canvas.size(2));
  std::copy_n(interleaved.data_ptr<uint8_t>(), image.pixels.size(), image.pixels.data());
  at::Tensor view = torch::empty({spec.height, spec.width, 3}, torch::kUInt8);
  render_view({.pixels = image, .box = {0, 0, image.height, image.width}},
              spec,
              plan,
              view.data_ptr<uint8_t>());
  return view.permute({2, 0, 1}).to(torch::kFloat32) / 255;
}

// Made where the tests compute, and brought back.
at::Tensor on_device(const at::Tensor& canvases,
                     const ViewSpec& spec,
                     const std::vector<ViewPlan>& plans) {
  return device_views(canvases.to(test::test_device()), spec, plans).cpu();
}

// Canvases in a fixed order, one batch of four an epoch, each as often as there are views.
class Canvases final : public BatchSource {
 public:
  explicit Canvases(std::vector<int64_t> order,
                    size_t views = 1,
                    int64_t height = 40,
                    int64_t width = 48)
      : order_(std::move(order)), views_(views), height_(height), width_(width) {}
  EpochPlan epoch_plan() const override { return {.samples = 4, .step = 4, .batch = 4}; }
  void seek(int64_t epoch, int64_t) override { epoch_ = epoch; }
  Batch next() override {
    Batch batch;
    batch.indices = torch::tensor(order_);
    const auto count = static_cast<int64_t>(order_.size());
    batch.views.assign(views_, pictures(count, height_, width_).index_select(0, batch.indices));
    batch.labels = batch.indices.clone();
    batch.epoch = epoch_++;
    return batch;
  }

 private:
  std::vector<int64_t> order_;
  size_t views_;
  int64_t height_, width_;
  int64_t epoch_ = 0;
};

}  // namespace

TEST_CASE("views made on the device equal those made one by one on the host") {
  const at::Tensor canvases = pictures(16, 60, 80);
  for (const auto filter :
       {Interpolation::bicubic, Interpolation::bilinear, Interpolation::lanczos}) {
    const ViewSpec spec{.height = 32,
                        .width = 40,
                        .interpolation = filter,
                        .jitter = 0.8,
                        .hue = 0,
                        .greyscale = 0.2,
                        .blur = 0.5};
    std::vector<ViewPlan> plans;
    for (uint64_t i = 0; i < 16; ++i) {
      Random draws(3, Stream::synthetic, {i});
      plans.push_back(plan_views({spec}, 60, 80, draws).front());
    }
    const at::Tensor got = on_device(canvases, spec, plans);
    for (int64_t i = 0; i < 16; ++i) {
      INFO(name_of(filter) << " " << i);
      const at::Tensor difference = (got[i] - on_host(canvases[i], spec, plans[i])).abs() * 255;
      // Three jitter steps that truncate to 8 bits lose half a level each.
      CHECK(difference.mean().item<double>() < 2);
      CHECK((difference <= 5).to(torch::kDouble).mean().item<double>() > 0.99);
    }
  }
}

TEST_CASE("each device operation alone is within rounding of the host's") {
  const at::Tensor canvas = pictures(1, 36, 52);
  ViewSpec spec{.height = 36, .width = 52, .crop = CropKind::none};
  Random draws(1);
  const ViewPlan plain = plan_views({spec}, 36, 52, draws).front();
  const auto worst = [&](const ViewPlan& plan) {
    return (on_device(canvas, spec, {plan})[0] - on_host(canvas[0], spec, plan))
               .abs()
               .max()
               .item<double>() *
           255;
  };
  ViewPlan plan = plain;
  plan.flip = true;
  CHECK(worst(plan) < 0.01);
  plan = plain;
  plan.drawn["blur"] = 1.7;
  CHECK(worst(plan) < 2.1);
  plan = plain;
  plan.drawn["greyscale"] = Happens{};
  CHECK(worst(plan) < 1.01);
  plan = plain;
  plan.drawn["solarize"] = Happens{};
  CHECK(worst(plan) < 0.01);
  plan = plain;
  plan.drawn["jitter"] = Jitter{
      .order = {2, 0, 1, 3}, .brightness = 0.7, .contrast = 1.3, .saturation = 0.8, .hue = 0};
  CHECK(worst(plan) < 3.1);

  // The host's hue goes through 8-bit HSV: 255 steps a turn, truncated.
  plan = plain;
  plan.drawn["jitter"] = Jitter{.hue = 0.1};
  const at::Tensor turned = on_device(canvas, spec, {plan})[0] - on_host(canvas[0], spec, plan);
  CHECK(turned.abs().mean().item<double>() * 255 < 2);
  plan.drawn["jitter"] = Jitter{.hue = 0.12};
  const at::Tensor further = on_device(canvas, spec, {plan})[0] - on_host(canvas[0], spec, plain);
  CHECK(further.abs().mean().item<double>() * 255 > 10);
}

TEST_CASE("every operation makes nearly the same on the device, or is refused there",
          "[operations]") {
  // With grain, so that a smoothing shows.
  const at::Tensor grain = torch::arange(8 * 3 * 36 * 52).view({8, 3, 36, 52}) * 7919 % 61 - 30;
  const at::Tensor canvases = (pictures(8, 36, 52) + grain).to(torch::kUInt8);
  for (const auto& operation : operations()) {
    INFO(operation.key);
    ViewSpec spec = view_with(operation.key, 36, 52);
    spec.hue = 0;  // the host's jumps near grey
    std::vector<ViewPlan> plans;
    for (uint64_t i = 0; i < 8; ++i) {
      Random draws(i);
      plans.push_back(plan_views({spec}, 36, 52, draws).front());
    }
    if (!operation.plan_batch) {
      CHECK_THROWS_WITH(device_views(canvases, spec, plans),
                        ContainsSubstring(operation.key + " works on the host only"));
      continue;
    }
    plans.back().drawn.clear();
    const at::Tensor got = on_device(canvases, spec, plans);
    REQUIRE(got.sizes() == at::IntArrayRef({8, 3, 36, 52}));
    CHECK(got.min().item<double>() >= 0);
    CHECK(got.max().item<double>() <= 1);
    const at::Tensor changed = (got - canvases.to(torch::kFloat32) / 255).abs() * 255;
    CHECK(changed.slice(0, 0, 7).max().item<double>() > 3);
    CHECK(changed[7].max().item<double>() < 0.01);
    for (int64_t i = 0; i < 8; ++i) {
      const at::Tensor apart = (got[i] - on_host(canvases[i], spec, plans[i])).abs() * 255;
      CHECK(apart.mean().item<double>() < 2);
      CHECK((apart <= 5).to(torch::kDouble).mean().item<double>() > 0.99);
    }
  }
}

TEST_CASE("the device source draws by epoch and index, whatever the order of the batch") {
  const std::vector<ViewSpec> specs = {
      {.name = "a", .count = 2, .height = 24, .width = 24, .jitter = 0.8},
      {.name = "b", .height = 16, .width = 16, .blur = 1}};
  const auto forwards = make_device_augment(
      std::make_unique<Canvases>(std::vector<int64_t>{0, 1, 2, 3}), specs, 5, torch::kCPU);
  const auto backwards = make_device_augment(
      std::make_unique<Canvases>(std::vector<int64_t>{3, 2, 1, 0}), specs, 5, torch::kCPU);
  const Batch one = forwards->next(), other = backwards->next(), later = forwards->next();
  REQUIRE(one.views.size() == 3);
  CHECK(one.views[2].sizes() == at::IntArrayRef({4, 3, 16, 16}));
  CHECK(one.labels.equal(torch::arange(4)));
  for (size_t v = 0; v < 3; ++v) {
    CHECK(one.views[v].allclose(other.views[v].flip(0), 1e-5, 1e-5));
    CHECK_FALSE(one.views[v].allclose(later.views[v], 1e-2, 1e-2));
  }
  forwards->seek(0, 0);
  CHECK(forwards->next().views[0].equal(one.views[0]));

  std::vector<ViewSpec> unsupported = specs;
  unsupported[0].rand_augment = RandAugment::parse("rand-m9-inc1");
  CHECK_THROWS_WITH(make_device_augment(nullptr, unsupported, 5, torch::kCPU),
                    "data.device_augment: rand_augment works on the host only (view a)");
}

TEST_CASE("colours are changed on the device as the host would, by what is drawn for the image") {
  ViewSpec spec{.count = 2, .height = 40, .width = 48, .jitter = 0.8, .hue = 0, .blur = 0.5};
  spec.greyscale = spec.solarize = 0.3;
  const auto source =
      make_device_colors(std::make_unique<Canvases>(std::vector<int64_t>{2, 0, 3, 1}, 2),
                         {spec},
                         5,
                         test::test_device());
  const Batch batch = source->next();
  REQUIRE(batch.views.size() == 2);
  spec.crop = CropKind::none;
  spec.flip = 0;
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t image = batch.indices[i].item<int64_t>();
    Random draws(5, Stream::device_views, {0, static_cast<uint64_t>(image)});
    const auto plans = plan_views({spec}, 40, 48, draws);
    for (size_t v = 0; v < 2; ++v) {
      INFO(image << " " << v);
      const at::Tensor want = on_host(pictures(4, 40, 48)[image], spec, plans[v]);
      const at::Tensor difference = (batch.views[v][i].cpu() - want).abs() * 255;
      CHECK(difference.mean().item<double>() < 2);
      CHECK((difference <= 5).to(torch::kDouble).mean().item<double>() > 0.98);
    }
  }
}

TEST_CASE("views are made on a device without waiting for it, after one upload of what is drawn") {
  const std::vector<ViewSpec> specs = {
      {.count = 2, .height = 40, .width = 48, .jitter = 0.8, .greyscale = 0.2, .solarize = 0.2},
      {.height = 40, .width = 48, .blur = 1, .sharpness = 0.5}};
  const auto next = [&](at::Device device, bool cuts) {
    auto canvases = std::make_unique<Canvases>(std::vector<int64_t>{0, 1, 2, 3}, cuts ? 1 : 3);
    return (cuts ? make_device_augment(std::move(canvases), specs, 5, device)
                 : make_device_colors(std::move(canvases), specs, 5, device))
        ->next();
  };
  for (const bool cuts : {true, false}) {
    INFO(cuts);
    const Batch here = next(torch::kCPU, cuts);
    const test::HostTraffic traffic;
    const Batch there = next(test::counted_device(), cuts);
    // Beside the pixels, of which whole images are one view and cut ones three.
    CHECK(traffic.counts() == std::map<std::string, int64_t>{{"upload", (cuts ? 1 : 3) + 1}});
    for (size_t v = 0; v < 3; ++v) {
      CHECK(there.views[v].cpu().allclose(here.views[v], 1e-5, 1e-5));
    }
  }
}

TEST_CASE("few operators make DINO's ten views of a batch") {
  VitOptions model;
  model.image_size = {32};
  model.patch_size = 4;
  const auto specs = resolve(MultiCropOptions(), 2, 8, model).views();
  std::vector<int64_t> images(32);
  std::iota(images.begin(), images.end(), 0);
  const auto operators = [&](bool cuts) {
    const at::Device device = test::counted_device();
    auto canvases = std::make_unique<Canvases>(images, cuts ? 1 : 10, 40, 40);
    const auto source = cuts ? make_device_augment(std::move(canvases), specs, 5, device)
                             : make_device_colors(std::move(canvases), specs, 5, device);
    to_device(source->next(), specs, {}, device);  // what is made once
    const test::DeviceOperators made;
    const Batch batch = to_device(source->next(), specs, {}, device);
    REQUIRE(batch.views.size() == 10);
    for (const auto& [name, times] : made.counts()) UNSCOPED_INFO(name << " " << times);
    return made.total();
  };
  CHECK(operators(true) <= 388);
  CHECK(operators(false) <= 309);
}
