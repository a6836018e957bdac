#include <map>
#include <set>

#include "augment/ops/blur.h"
#include "augment/ops/color.h"
#include "augment/ops/geometric.h"
#include "augment/ops/operation.h"
#include "augment/ops/rand_augment.h"
#include "augment/ops/resize.h"
#include "augment/ops/resize_kernels.h"
#include "error.h"
#include "random.h"
#include "support/catch.h"

using namespace previt;

namespace {

Image noise(int64_t height, int64_t width, int64_t channels = 3) {
  Image image(height, width, channels);
  Random random(static_cast<uint64_t>(height * 1000 + width));
  for (auto& value : image.pixels) value = static_cast<uint8_t>(random.integer(0, 256));
  return image;
}

Image resized(const Image& source,
              int64_t height,
              int64_t width,
              Filter filter,
              PassOrder order,
              bool flip = false) {
  Image out(height, width, source.channels);
  resize(source,
         {0, 0, double(source.height), double(source.width)},
         {0, 0, source.height, source.width},
         filter,
         order,
         flip,
         out.view());
  return out;
}

template <class Operation>
Image after(Image image, Operation operation) {
  operation(image.view());
  return image;
}

}  // namespace

TEST_CASE("a resize to the same size, or of an even surface, changes nothing") {
  const Image image = noise(13, 29);
  for (const auto order : {PassOrder::columns_first, PassOrder::rows_first}) {
    for (const auto filter : {Filter::bilinear, Filter::bicubic, Filter::lanczos}) {
      CHECK(resized(image, 13, 29, filter, order).pixels == image.pixels);
      Image even(37, 41);
      std::fill(even.pixels.begin(), even.pixels.end(), uint8_t{201});
      for (const auto value : resized(even, 17, 64, filter, order).pixels) REQUIRE(value == 201);
    }
  }
}

TEST_CASE("every implementation of the resize passes gives the same bits") {
  const int64_t width = 53, size = 19;
  const Image image = noise(12, width);
  Random random(3);
  FixedWeights weights{.taps = 8, .first = {}, .values = {}};
  for (int64_t i = 0; i < size; ++i) {
    weights.first.push_back(static_cast<int32_t>(random.integer(0, width - weights.taps)));
    for (int64_t t = 0; t < weights.taps; ++t)
      weights.values.push_back(static_cast<int16_t>(random.integer(-2000, 8000)));
  }
  std::vector<uint8_t> one(size * 3), other(size * 3);
  portable_resize_kernels().columns(image.row(2), weights, 3, one.data());
  fastest_resize_kernels().columns(image.row(2), weights, 3, other.data());
  CHECK(one == other);

  std::vector<const uint8_t*> rows;
  for (int64_t t = 0; t < weights.taps; ++t) rows.push_back(image.row(t));
  one.resize(width * 3);
  other.resize(width * 3);
  portable_resize_kernels().rows(
      rows.data(), weights.values.data(), weights.taps, width * 3, one.data());
  fastest_resize_kernels().rows(
      rows.data(), weights.values.data(), weights.taps, width * 3, other.data());
  CHECK(one == other);
}

TEST_CASE("a resize mirrors at no cost, and grey images are one channel of colour ones") {
  const Image image = noise(31, 45);
  Image mirrored = resized(image, 12, 18, Filter::lanczos, PassOrder::rows_first, true);
  flip_horizontally(mirrored.view());
  CHECK(mirrored.pixels == resized(image, 12, 18, Filter::lanczos, PassOrder::rows_first).pixels);

  Image grey(31, 45, 1);
  for (size_t i = 0; i < grey.pixels.size(); ++i) grey.pixels[i] = image.pixels[3 * i + 1];
  const Image small = resized(image, 12, 18, Filter::bicubic, PassOrder::columns_first);
  const Image small_grey = resized(grey, 12, 18, Filter::bicubic, PassOrder::columns_first);
  for (size_t i = 0; i < small_grey.pixels.size(); ++i)
    REQUIRE(small_grey.pixels[i] == small.pixels[3 * i + 1]);
}

TEST_CASE("resizing one pixel, to one pixel, and by large factors stays inside the image") {
  for (const auto& [height, width] :
       {std::pair<int64_t, int64_t>{1, 1}, {1, 50}, {50, 1}, {3, 2}, {500, 400}}) {
    const Image image = noise(height, width);
    CHECK(resized(image, 1, 1, Filter::lanczos, PassOrder::columns_first).pixels.size() == 3);
    CHECK(resized(image, 7, 9, Filter::bicubic, PassOrder::rows_first).pixels.size() == 189);
  }
}

TEST_CASE("operations that undo themselves, and those that do nothing") {
  const Image image = noise(11, 14);
  CHECK(after(after(image, flip_horizontally), flip_horizontally).pixels == image.pixels);
  CHECK(after(image, flip_horizontally).pixels != image.pixels);
  CHECK(after(after(image, invert), invert).pixels == image.pixels);
  CHECK(after(image, [](Pixels p) { solarize(p, 256); }).pixels == image.pixels);
  CHECK(after(image, [](Pixels p) { posterize(p, 8); }).pixels == image.pixels);
  CHECK(after(image, [](Pixels p) { adjust_brightness(p, 1); }).pixels == image.pixels);
  CHECK(after(image, [](Pixels p) { adjust_sharpness(p, 1); }).pixels == image.pixels);
  CHECK(after(image, [](Pixels p) { warp(p, {}, Filter::bicubic, kImageNetFill.data()); }).pixels ==
        image.pixels);
  for (const auto value : after(image, [](Pixels p) { posterize(p, 0); }).pixels)
    REQUIRE(value == 0);
}

TEST_CASE("images of one value, one pixel or one channel pass through every operation") {
  Image even(5, 6);
  std::fill(even.pixels.begin(), even.pixels.end(), uint8_t{90});
  CHECK(after(even, autocontrast).pixels == even.pixels);
  CHECK(after(even, equalize).pixels == even.pixels);
  CHECK(after(even, [](Pixels p) { gaussian_blur(p, 2.0); }).pixels == even.pixels);
  CHECK(after(even, [](Pixels p) { adjust_hue(p, 0.3); }).pixels == even.pixels);
  for (const auto& operation : rand_operations()) {
    for (const int64_t channels : {1, 3}) {
      Image tiny = noise(1, 1, channels);
      operation.apply(tiny.view(), 0.5, {});
      Image thin = noise(1, 40, channels);
      operation.apply(thin.view(), 0.5, {.filter = Filter::bilinear});
    }
  }
  Image small = noise(2, 3);
  gaussian_blur(small.view(), 5.0);  // the box is wider than the image
  CHECK(box_radius(5.0) > 3);
}

TEST_CASE("a wide blur is close to a Gaussian") {
  Image dot(41, 41, 1);
  dot.row(20)[20] = 255;
  for (int64_t d = -1; d <= 1; ++d) dot.row(20 + d)[20] = dot.row(20)[20 + d] = 255;
  Image blurred = after(dot, [](Pixels p) { gaussian_blur(p, 1.5); });
  const double peak = 255 * (1 + 4 * std::exp(-1 / 4.5)) / (2 * M_PI * 2.25);
  CHECK(static_cast<double>(blurred.row(20)[20]) == Approx(peak).epsilon(0.1));
  CHECK(static_cast<int>(blurred.row(20)[10]) == 0);
}

TEST_CASE("translation moves whole pixels and fills what comes in") {
  const Image image = noise(8, 10);
  const Image moved =
      after(image, [](Pixels p) { rand_operation("TranslateXRel").apply(p, 0.3, {}); });
  for (int64_t x = 0; x < 10; ++x) {
    for (int c = 0; c < 3; ++c) {
      const uint8_t want = x + 3 < 10 ? image.row(4)[(x + 3) * 3 + c] : kImageNetFill[c];
      REQUIRE(moved.row(4)[x * 3 + c] == want);
    }
  }
}

TEST_CASE("RandAugment reads timm's config strings") {
  const auto policy = RandAugment::parse("rand-m9-mstd0.5-inc1");
  CHECK(policy.magnitude == 9);
  CHECK(policy.operations == 2);
  CHECK(policy.probability == 0.5);
  CHECK(policy.deviation == 0.5);
  CHECK(policy.limit == 10);
  CHECK(policy.increasing);
  const auto other = RandAugment::parse("rand-n3-p0.9-mmax30-m15");
  CHECK(other.operations == 3);
  CHECK(other.probability == 0.9);
  CHECK(other.limit == 30);
  CHECK(other.magnitude == 15);
  CHECK(!other.increasing);
  CHECK(other.on());
  CHECK_FALSE(RandAugment::parse("").on());
  CHECK_THROWS_WITH(RandAugment::parse("augmix-m3"), "augmix-m3 does not begin with rand");
  CHECK_THROWS_AS(RandAugment::parse("rand-q3"), UsageError);
  CHECK_THROWS_AS(RandAugment::parse("rand-m"), UsageError);
  CHECK_THROWS_AS(RandAugment::parse("rand-m9x"), UsageError);
}

TEST_CASE(
    "RandAugment draws operations evenly, half of them, magnitudes about the mean, both signs") {
  const auto policy = RandAugment::parse("rand-m9-mstd0.5-inc1");
  Random random(11);
  std::map<std::string, int> seen;
  int steps = 0, left = 0;
  double degrees = 0;
  constexpr int draws = 15000;
  for (int i = 0; i < draws; ++i) {
    for (const auto& step : draw_steps(policy, random)) {
      ++steps;
      ++seen[step.operation->name];
      if (step.operation != &rand_operation("Rotate")) continue;
      degrees += std::abs(step.argument);
      left += step.argument < 0;
      REQUIRE(std::abs(step.argument) <= 30);
    }
  }
  CHECK(steps == Approx(draws).epsilon(0.03));
  CHECK(seen.size() == 15);
  for (const auto& [name, count] : seen) CHECK(count == Approx(draws / 15.0).epsilon(0.15));
  const int rotations = seen["Rotate"];
  CHECK(degrees / rotations == Approx(27).epsilon(0.01));
  CHECK(left == Approx(rotations / 2.0).epsilon(0.15));
}

TEST_CASE("an operation of RandAugment is turned as its row says") {
  for (const std::string config : {"rand-m9-n1-p1", "rand-m9-n1-p1-inc1"}) {
    const auto policy = RandAugment::parse(config);
    std::map<const RandOperation*, std::set<double>> arguments;
    Random random(5);
    for (int i = 0; i < 1000; ++i) {
      for (const auto& step : draw_steps(policy, random))
        arguments[step.operation].insert(step.argument);
    }
    for (const auto& row : rand_operations()) {
      INFO(config << " " << row.name);
      const double straight = row.argument(0.9, policy.increasing);
      std::set<double> want = {straight};
      if (row.turned == Turned::about_0) want.insert(-straight);
      if (row.turned == Turned::about_1 && policy.increasing) want.insert(2 - straight);
      CHECK(arguments[&row] == want);
    }
  }
  CHECK(rand_operation("ColorIncreasing").argument(0.9, true) == Approx(1.81));
  CHECK(rand_operation("Color").argument(0.9, false) == Approx(1.72));
  CHECK(rand_operation("Posterize").argument(0.9, true) == 1);
  CHECK(rand_operation("Posterize").argument(0.9, false) == 3);
  CHECK(rand_operation("Solarize").argument(0.9, true) == 26);
  CHECK(rand_operation("SolarizeAdd").argument(0.9, true) == 99);
  CHECK_THROWS_WITH(rand_operation("Shear"), "rand_augment: no operation named Shear");
}

TEST_CASE("sharpness blends with a smoothed image, whose outermost pixels stay as they are") {
  const auto& all = operations();
  const auto found = std::find_if(
      all.begin(), all.end(), [](const Operation& one) { return one.key == "sharpness"; });
  REQUIRE(found != all.end());
  const Image image = noise(6, 7);
  const auto at = [&](int64_t y, int64_t x, int64_t c) { return double(image.row(y)[3 * x + c]); };
  const at::Tensor pixels =
      torch::tensor(at::ArrayRef<uint8_t>(image.pixels), torch::kUInt8).view({1, 6, 7, 3});
  const at::Tensor batch = pixels.permute({0, 3, 1, 2}).to(torch::kFloat32) / 255;
  for (const double factor : {0.0, 0.5, 1.0, 2.0}) {
    Image changed = image;
    found->apply({}, factor, changed.view());
    DeviceLists lists;
    const BatchChange change = found->plan_batch({}, {factor}, lists);
    lists.upload(torch::kCPU);
    const at::Tensor device = change(batch) * 255;
    for (int64_t y = 0; y < 6; ++y) {
      for (int64_t x = 0; x < 7; ++x) {
        for (int64_t c = 0; c < 3; ++c) {
          double smooth = at(y, x, c), rounded = smooth;
          if (y > 0 && y < 5 && x > 0 && x < 6) {
            double sum = 4 * at(y, x, c);
            for (int64_t near = 0; near < 9; ++near)
              sum += at(y + near / 3 - 1, x + near % 3 - 1, c);
            smooth = sum / 13;
            rounded = std::floor(smooth + 0.5);
          }
          const auto blended = [&](double from) {
            return std::clamp(from + factor * (at(y, x, c) - from), 0.0, 255.0);
          };
          REQUIRE(int(changed.row(y)[3 * x + c]) == int(blended(rounded)));
          REQUIRE(device[0][c][y][x].item<double>() == Approx(blended(smooth)).margin(0.01));
        }
      }
    }
  }
}
