#include <functional>

#include "augment/ops/blur.h"
#include "augment/ops/color.h"
#include "augment/ops/resize_kernels.h"
#include "levels/levels.h"

using namespace previt;

namespace {

using Bytes = std::vector<uint8_t>;

// FNV-1a of 64 bits.
uint64_t checksum(const Bytes& bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

// A slope with noise on it, and patches of the extremes.
Image picture(int64_t height, int64_t width, int64_t channels) {
  Image image(height, width, channels);
  std::mt19937 noise(17);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const uint32_t patch = noise() % 8;
      for (int64_t c = 0; c < channels; ++c) {
        const auto slope = static_cast<uint32_t>(3 * y + (c + 1) * x);
        const uint32_t value = patch == 0 ? 0 : patch == 1 ? 255 : slope + noise() % 64;
        image.row(y)[x * channels + c] = static_cast<uint8_t>(value);
      }
    }
  }
  return image;
}

// What an operation makes of pictures that fill no vector, and of some that fill many.
Bytes results(const std::function<void(Pixels)>& operation) {
  Bytes all;
  for (const int64_t channels : {3, 1}) {
    for (const auto& [height, width] : {std::pair{1, 1}, {3, 5}, {15, 17}, {37, 64}, {5, 100}}) {
      Image image = picture(height, width, channels);
      operation(image.view());
      all.insert(all.end(), image.pixels.begin(), image.pixels.end());
    }
  }
  return all;
}

// The bytes must be the same at every level, and on every machine.
void check_bytes(const std::function<Bytes()>& make, uint64_t expected) {
  Bytes baseline;
  {
    const LevelGuard guard(CpuLevel::kBaseline);
    baseline = make();
  }
  at_each_level([&] { CHECK(make() == baseline); });
  CHECK(checksum(baseline) == expected);
}

struct Case {
  const char* name;
  std::function<void(Pixels)> operation;
  uint64_t checksum;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"grey", to_greyscale, 0xeb1daf850e483585},
      {"brighter", [](Pixels p) { adjust_brightness(p, 1.37); }, 0xbc6eec34ebd6f2ef},
      {"less contrast", [](Pixels p) { adjust_contrast(p, 0.63); }, 0xbe97a86cf466424c},
      {"more contrast", [](Pixels p) { adjust_contrast(p, 1.9); }, 0x867bcab3a2ea869b},
      {"less saturation", [](Pixels p) { adjust_saturation(p, 0.29); }, 0x32959037ded6a132},
      {"more saturation", [](Pixels p) { adjust_saturation(p, 1.41); }, 0x53eed44fad91dc0e},
      {"less sharpness", [](Pixels p) { adjust_sharpness(p, 0.17); }, 0xa63d2b63d8565366},
      {"more sharpness", [](Pixels p) { adjust_sharpness(p, 1.83); }, 0x1a5e9fafa9775cf},
      {"hue forwards", [](Pixels p) { adjust_hue(p, 0.11); }, 0x79686996394b36b},
      {"hue backwards", [](Pixels p) { adjust_hue(p, -0.37); }, 0xe44078c250c336fe},
      {"to HSV", rgb_to_hsv, 0x9374dfc19f21252e},
      {"from HSV", hsv_to_rgb, 0x50510d4ae7e5a23f},
      {"solarize", [](Pixels p) { solarize(p, 100); }, 0x194b41ab8da6ad07},
      {"solarize_add", [](Pixels p) { solarize_add(p, 40); }, 0xc9d915cc19f184bc},
      {"posterize", [](Pixels p) { posterize(p, 3); }, 0xdede42e670950cf5},
      {"invert", invert, 0x9c24c1affbd935b8},
      {"autocontrast", autocontrast, 0xc1da7b690b3cd4f4},
      {"equalize", equalize, 0x56cf0b67deed8987},
      {"blur of radius 0", [](Pixels p) { gaussian_blur(p, 0.6); }, 0xb205589abfb6e410},
      {"blur of radius 1", [](Pixels p) { gaussian_blur(p, 2.0); }, 0xee11def35778c74},
      {"blur of radius 2", [](Pixels p) { gaussian_blur(p, 3.0); }, 0xbe7970a8e155b3f3},
      {"blur of a larger radius", [](Pixels p) { gaussian_blur(p, 5.3); }, 0xe26ccd2f5603932},
  };
  return all;
}

// `size` outputs that reach over the source, with weights of both signs that sum to one.
FixedWeights weights_for(int64_t size, int64_t taps, int64_t source) {
  FixedWeights weights;
  weights.taps = taps;
  std::mt19937 random(18);
  for (int64_t i = 0; i < size; ++i) {
    weights.first.push_back(static_cast<int32_t>(i * (source - taps) / std::max<int64_t>(1, size)));
    int left = 1 << FixedWeights::kBits;
    for (int64_t t = 0; t + 1 < taps; ++t) {
      const int weight = static_cast<int>(random() % 12000) - 4000;
      weights.values.push_back(static_cast<int16_t>(weight));
      left -= weight;
    }
    weights.values.push_back(static_cast<int16_t>(left));
  }
  return weights;
}

Bytes resized_columns(int64_t channels) {
  Bytes all;
  for (const int64_t taps : {4, 8, 12}) {
    for (const int64_t size : kSizes) {
      constexpr int64_t source = 64;
      const FixedWeights weights = weights_for(size, taps, source);
      Bytes row = picture(1, source, channels).pixels;
      row.resize(row.size() + ResizeKernels::overread(weights, channels));
      Fenced<uint8_t> out(size * channels);
      fastest_resize_kernels().columns(row.data(), weights, channels, out.data());
      const Bytes got = out.taken();
      all.insert(all.end(), got.begin(), got.end());
    }
  }
  return all;
}

Bytes resized_rows() {
  Bytes all;
  for (const int64_t taps : {4, 8, 12}) {
    for (const int64_t count : kSizes) {
      const FixedWeights weights = weights_for(1, taps, 16);
      Image image = picture(16, count, 1);
      std::vector<const uint8_t*> rows;
      for (int64_t t = 0; t < taps; ++t) rows.push_back(image.row(t));
      Fenced<uint8_t> out(count);
      fastest_resize_kernels().rows(rows.data(), weights.values.data(), taps, count, out.data());
      const Bytes got = out.taken();
      all.insert(all.end(), got.begin(), got.end());
    }
  }
  return all;
}

}  // namespace

TEST_CASE("the pictures that the checksums belong to") {
  CHECK(checksum(results([](Pixels) {})) == 0xc1da7b690b3cd4f4);
}

TEST_CASE("operations on pixels give the same bytes at each level and on each machine") {
  for (const Case& one : cases()) {
    INFO(one.name);
    check_bytes([&] { return results(one.operation); }, one.checksum);
  }
}

TEST_CASE("a resize gives the same bytes at each level and on each machine") {
  check_bytes([] { return resized_columns(3); }, 0x8b93e60f3bbd425f);
  check_bytes([] { return resized_columns(1); }, 0xff6f86599b0f33c1);
  check_bytes(resized_rows, 0xcc3f0c1c66cebb2b);
}
