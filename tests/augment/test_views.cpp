#include "augment/ops/jitter.h"
#include "augment/views.h"
#include "error.h"
#include "support/catch.h"
#include "support/noise_image.h"

using namespace previt;
using test::noise;

namespace {

// A smooth picture, so that a reduced copy holds the same view.
Image waves(int64_t height, int64_t width) {
  Image image(height, width);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width * 3; ++x) {
      image.row(y)[x] = static_cast<uint8_t>(
          128 + 100 * std::sin(0.02 * double(y) + 0.03 * double(x / 3) + double(x % 3)));
    }
  }
  return image;
}

Image cut(const Image& image, const Box& box) {
  Image out(box.height, box.width);
  for (int64_t y = 0; y < box.height; ++y)
    std::copy_n(image.row(box.top + y) + box.left * 3, box.width * 3, out.row(y));
  return out;
}

Image render(const Region& region, const ViewSpec& spec, const ViewPlan& plan) {
  Image view(spec.height, spec.width);
  render_view(region, spec, plan, view.pixels.data());
  return view;
}

Region whole(const Image& image) {
  return {.pixels = image, .box = {0, 0, image.height, image.width}};
}

ViewSpec dino_global() {
  return {.name = "global",
          .count = 2,
          .height = 56,
          .width = 48,
          .scale = {0.4, 1},
          .jitter = 0.8,
          .greyscale = 0.2,
          .blur = 0.5,
          .solarize = 0.2};
}

const Jitter& jitter_of(const ViewPlan& plan) {
  return std::any_cast<const Jitter&>(plan.drawn.at("jitter"));
}

}  // namespace

TEST_CASE("random crops keep to their ranges of area and ratio") {
  Random draws(1);
  double smallest = 1, largest = 0;
  for (int i = 0; i < 10000; ++i) {
    const Box box = random_resized_crop(300, 400, {0.2, 0.8}, {0.75, 4.0 / 3}, draws);
    const double area = double(box.height * box.width) / (300 * 400),
                 ratio = double(box.width) / double(box.height);
    REQUIRE((box.top >= 0 && box.left >= 0 && box.top + box.height <= 300 &&
             box.left + box.width <= 400));
    REQUIRE((ratio > 0.74 && ratio < 1.35));
    smallest = std::min(smallest, area);
    largest = std::max(largest, area);
  }
  CHECK(smallest == Approx(0.2).epsilon(0.02));
  CHECK(largest == Approx(0.8).epsilon(0.03));
}

TEST_CASE("the single-draw crop clamps its sides to the image and always draws four numbers") {
  Random draws(2);
  bool clamped = false;
  for (int i = 0; i < 2000; ++i) {
    const Box box = single_draw_crop(20, 400, {0.08, 1}, {0.75, 4.0 / 3}, draws);
    REQUIRE((box.top + box.height <= 20 && box.left + box.width <= 400 && box.height > 0 &&
             box.width > 0));
    clamped = clamped || box.height == 20;
  }
  CHECK(clamped);
  const Box tiny = single_draw_crop(1, 1, {0.08, 0.1}, {0.75, 4.0 / 3}, draws);
  CHECK((tiny.height == 1 && tiny.width == 1));
}

TEST_CASE("plans are repeatable, count all crops, and differ between streams") {
  const std::vector<ViewSpec> specs = {dino_global(),
                                       {.name = "local", .count = 3, .height = 24, .width = 24}};
  Random one(9, Stream::views, {3, 17}), again(9, Stream::views, {3, 17}),
      other(9, Stream::views, {3, 18});
  const auto plans = plan_views(specs, 200, 300, one), same = plan_views(specs, 200, 300, again),
             different = plan_views(specs, 200, 300, other);
  REQUIRE(plans.size() == 5);
  CHECK(plans[1].spec == 0);
  CHECK(plans[4].spec == 1);
  for (size_t v = 0; v < plans.size(); ++v) {
    const Region region = whole(noise(200, 300));
    const ViewSpec& spec = specs[plans[v].spec];
    const auto pixels = render(region, spec, plans[v]).pixels;
    CHECK(pixels == render(region, spec, same[v]).pixels);
    CHECK(pixels != render(region, spec, different[v]).pixels);
  }
  const Box all = union_of_boxes(plans);
  for (const auto& plan : plans) {
    const Box& box = plan.crop.box;
    CHECK((box.top >= all.top && box.left >= all.left &&
           box.top + box.height <= all.top + all.height &&
           box.left + box.width <= all.left + all.width));
  }
}

TEST_CASE("a view can repeat another's crops at its own size, with or without its colours") {
  std::vector<ViewSpec> specs = {{.name = "model", .count = 2, .jitter = 1, .solarize = 1},
                                 {.name = "tokenizer",
                                  .count = 2,
                                  .height = 112,
                                  .width = 112,
                                  .interpolation = Interpolation::lanczos,
                                  .jitter = 1,
                                  .same_crop_as = "model"}};
  Random draws(4);
  const auto plans = plan_views(specs, 240, 320, draws);
  REQUIRE(plans.size() == 4);
  for (size_t v = 0; v < 2; ++v) {
    CHECK(plans[v].crop.box.left == plans[v + 2].crop.box.left);
    CHECK(plans[v].crop.box.height == plans[v + 2].crop.box.height);
    CHECK(plans[v].flip == plans[v + 2].flip);
    CHECK(jitter_of(plans[v]).hue == jitter_of(plans[v + 2]).hue);
    CHECK(plans[v].drawn.contains("solarize"));
    CHECK_FALSE(plans[v + 2].drawn.contains("solarize"));
  }
  CHECK(jitter_of(plans[0]).hue != jitter_of(plans[1]).hue);
  specs[1].same_crop_as = "modle";
  CHECK_THROWS_WITH(plan_views(specs, 240, 320, draws),
                    "view tokenizer: same_crop_as: no view named modle comes before it");
  specs[1].same_crop_as = "model";
  specs[1].count = 3;
  CHECK_THROWS_AS(plan_views(specs, 240, 320, draws), UsageError);
}

TEST_CASE("the decoded box alone gives the same view as the whole image") {
  const Image image = noise(150, 210);
  Random draws(6);
  for (const auto crop :
       {CropKind::random_resized, CropKind::single_draw, CropKind::center, CropKind::resize}) {
    for (const auto filter :
         {Interpolation::bicubic, Interpolation::bilinear, Interpolation::lanczos}) {
      const ViewSpec spec{
          .height = 33, .width = 47, .crop = crop, .interpolation = filter, .crop_pct = 0.8};
      const ViewPlan plan = plan_views({spec}, 150, 210, draws).front();
      const Region part{.pixels = cut(image, plan.crop.box), .box = plan.crop.box};
      CHECK(render(part, spec, plan).pixels == render(whole(image), spec, plan).pixels);
    }
  }
}

TEST_CASE("a centre crop in one resize equals resizing the image and cutting the centre out") {
  for (const auto& [height, width] :
       {std::pair<int64_t, int64_t>{90, 131}, {131, 90}, {300, 100}, {20, 25}}) {
    const Image image = noise(height, width);
    const ViewSpec spec = evaluation_view(28, 28, 0.875);
    Random unused(0);
    const ViewPlan plan = plan_views({spec}, height, width, unused).front();
    const int64_t tall = height <= width ? 32 : 32 * height / width,
                  wide = width <= height ? 32 : 32 * width / height;
    const ViewSpec all{.height = tall, .width = wide, .crop = CropKind::resize, .flip = 0};
    const Image resized =
        render(whole(image), all, plan_views({all}, height, width, unused).front());
    const auto middle = [](int64_t size) {
      return static_cast<int64_t>(std::nearbyint(double(size - 28) / 2));
    };
    CHECK(render(whole(image), spec, plan).pixels ==
          cut(resized, {middle(tall), middle(wide), 28, 28}).pixels);
  }
}

TEST_CASE("a region decoded at half scale shows the same view") {
  const Image full = waves(240, 320);
  Image half(120, 160);
  for (int64_t y = 0; y < 120; ++y) {
    for (int64_t x = 0; x < 160 * 3; ++x) {
      const int64_t at = x / 3 * 6 + x % 3;
      half.row(y)[x] =
          static_cast<uint8_t>((full.row(2 * y)[at] + full.row(2 * y)[at + 3] +
                                full.row(2 * y + 1)[at] + full.row(2 * y + 1)[at + 3] + 2) /
                               4);
    }
  }
  const Region reduced{.pixels = half, .box = {0, 0, 240, 320}};
  Random draws(8);
  const ViewSpec spec{.height = 40, .width = 40, .scale = {0.3, 0.9}};
  for (int i = 0; i < 20; ++i) {
    const ViewPlan plan = plan_views({spec}, 240, 320, draws).front();
    const Image got = render(reduced, spec, plan), want = render(whole(full), spec, plan);
    for (size_t p = 0; p < want.pixels.size(); ++p)
      REQUIRE(std::abs(int(got.pixels[p]) - int(want.pixels[p])) <= 3);
  }
}

TEST_CASE("crop none keeps the pixels and refuses another size") {
  const Image image = noise(32, 32);
  const ViewSpec spec{
      .name = "plain", .height = 32, .width = 32, .crop = CropKind::none, .flip = 0};
  Random unused(0);
  const ViewPlan plan = plan_views({spec}, 32, 32, unused).front();
  CHECK(render(whole(image), spec, plan).pixels == image.pixels);
  CHECK_THROWS_WITH(plan_views({spec}, 32, 30, unused),
                    "plain: crop none takes images of 32x32 only, not 32x30");
}

TEST_CASE("probabilities of the random changes hold") {
  Random draws(10);
  const ViewSpec spec = dino_global();
  int flips = 0, jitters = 0, greys = 0, blurs = 0, solarized = 0;
  std::array<int, 4> first{};
  constexpr int n = 5000;
  for (int i = 0; i < n; ++i) {
    for (const auto& plan : plan_views({spec}, 64, 64, draws)) {
      flips += plan.flip;
      jitters += plan.drawn.contains("jitter");
      greys += plan.drawn.contains("greyscale");
      solarized += plan.drawn.contains("solarize");
      if (plan.drawn.contains("blur")) {
        ++blurs;
        const auto sigma = std::any_cast<double>(plan.drawn.at("blur"));
        REQUIRE((sigma >= 0.1 && sigma < 2));
      }
      if (!plan.drawn.contains("jitter")) continue;
      const Jitter& jitter = jitter_of(plan);
      ++first[jitter.order[0]];
      REQUIRE((jitter.brightness >= 0.6 && jitter.brightness < 1.4 && std::abs(jitter.hue) <= 0.1));
    }
  }
  CHECK(flips / (2.0 * n) == Approx(0.5).margin(0.02));
  CHECK(jitters / (2.0 * n) == Approx(0.8).margin(0.02));
  CHECK(greys / (2.0 * n) == Approx(0.2).margin(0.02));
  CHECK(blurs / (2.0 * n) == Approx(0.5).margin(0.02));
  CHECK(solarized / (2.0 * n) == Approx(0.2).margin(0.02));
  for (const int count : first) CHECK(double(count) / jitters == Approx(0.25).margin(0.02));
}
