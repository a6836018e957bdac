#include "levels/levels.h"
#include "models/kernels/loops/scale.h"

using namespace previt;

namespace {

std::vector<Bf16> every_bf16() {
  std::vector<Bf16> all(65536);
  for (uint32_t bits = 0; bits < all.size(); ++bits) all[bits].bits = static_cast<uint16_t>(bits);
  return all;
}

// For each bfloat16 a few floats from it to the next: itself, the tie, and what lies beside both.
std::vector<float> floats_between() {
  std::vector<float> all;
  for (uint32_t upper = 0; upper < 65536; ++upper) {
    for (const uint32_t lower : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const uint32_t bits = upper << 16 | lower;
      float x;
      std::memcpy(&x, &bits, sizeof x);
      all.push_back(x);
    }
  }
  return all;
}

}  // namespace

TEST_CASE("the test's own bfloat16 goes there and back") {
  for (const Bf16 x : every_bf16()) {
    const double v = value(x);
    if (std::isnan(v)) continue;
    REQUIRE(rounded<Bf16>(v).bits == x.bits);
  }
  CHECK(value(rounded<Bf16>(1.00390625)) == 1);         // a tie, to the even mantissa 0
  CHECK(value(rounded<Bf16>(1.01171875)) == 1.015625);  // a tie, to the even mantissa 2
  CHECK(value(rounded<Bf16>(3.4e38)) == INFINITY);
}

TEST_CASE("every bfloat16 becomes the float of its value") {
  const std::vector<Bf16> all = every_bf16();
  std::vector<double> want;
  for (const Bf16 x : all) want.push_back(value(x));
  const std::vector<float> zeros(all.size());
  at_each_level([&] {
    std::vector<float> got(all.size());
    loops::add_scaled_span(zeros.data(), all.data(), 1, got.data(), std::ssize(all));
    CHECK(error(got, want) == 0);
  });
}

TEST_CASE("floats become the nearest bfloat16, at ties the even one, and NaN stays NaN") {
  const std::vector<float> all = floats_between();
  std::vector<Bf16> want;
  for (const float x : all) want.push_back(rounded<Bf16>(x));
  at_each_level([&] {
    std::vector<Bf16> got(all.size());
    loops::scaled_span(all.data(), 1, got.data(), std::ssize(all));
    // The instruction takes what is below the smallest normal number for zero.
    const double least =
        cpu_level() >= CpuLevel::kAvx512Bf16 ? std::numeric_limits<float>::min() : 0;
    int64_t wrong = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (std::isnan(all[i])) {
        wrong += !std::isnan(value(got[i]));
      } else if (std::abs(all[i]) < least) {
        wrong += value(got[i]) != 0;
      } else {
        wrong += got[i].bits != want[i].bits;
      }
    }
    CHECK(wrong == 0);
  });
}
