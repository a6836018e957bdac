#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "models/kernels/loops/simd.h"
#include "options.h"
#include "support/catch2.h"
#include "support/level_guard.h"

// The loops at every level of processor against formulas in double. Nothing here needs LibTorch,
// so that emulated processors run it.

namespace previt {

using simd::Bf16;

/// Sizes that fill no vector, one, or several.
inline const std::vector<int64_t> kSizes{1, 3, 15, 16, 17, 100};

template <class Body>
void at_each_level(const Body& body) {
  for (int i = 0; i <= static_cast<int>(machine_level()); ++i) {
    const auto level = static_cast<CpuLevel>(i);
    const LevelGuard guard(level);
    INFO("level " << name_of(level));
    body();
  }
}

inline int64_t up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

inline double value(double x) { return x; }
inline double value(float x) { return x; }
/// The bits read one by one: sign, 8 of the exponent, 7 of the mantissa.
inline double value(Bf16 x) {
  const int exponent = x.bits >> 7 & 0xff, mantissa = x.bits & 0x7f;
  const double sign = x.bits >> 15 ? -1 : 1;
  if (exponent == 0xff) return mantissa == 0 ? sign * INFINITY : NAN;
  return sign *
         (exponent == 0 ? std::ldexp(mantissa, -133) : std::ldexp(mantissa + 128, exponent - 134));
}

/// x rounded to T: to the nearest, of two to the even one.
template <class T>
T rounded(double x) {
  if constexpr (std::is_same_v<T, float>) {
    return static_cast<float>(x);
  } else {
    if (std::isnan(x)) return {0x7fc0};
    int exponent;
    std::frexp(x, &exponent);
    const double step = std::ldexp(1., std::max(exponent - 8, -133));  // from one to the next
    const auto exact = static_cast<float>(std::nearbyint(x / step) * step);
    uint32_t bits;
    std::memcpy(&bits, &exact, sizeof bits);
    return {static_cast<uint16_t>(bits >> 16)};
  }
}

/// Numbers between -2 and 2, the same on every machine.
class Numbers {
 public:
  explicit Numbers(uint32_t seed) : engine_(seed) {}
  double next() { return engine_() * 0x1p-30 - 2; }
  template <class T>
  std::vector<T> many(int64_t n, double scale = 1, double offset = 0) {
    std::vector<T> all(n);
    for (T& x : all) x = rounded<T>(next() * scale + offset);
    return all;
  }

 private:
  std::mt19937 engine_;
};

/// Memory that a loop writes, between fences that it must leave alone.
template <class T>
class Fenced {
 public:
  explicit Fenced(const std::vector<T>& start) : size_(start.size()), memory_(size_ + 2 * kFence) {
    std::memset(static_cast<void*>(memory_.data()), kByte, memory_.size() * sizeof(T));
    std::copy(start.begin(), start.end(), data());
  }
  explicit Fenced(int64_t n) : Fenced(std::vector<T>(n)) {}

  T* data() { return memory_.data() + kFence; }
  /// What was written, after a look at the fences.
  std::vector<T> taken() {
    for (const T* side : {memory_.data(), data() + size_}) {
      const auto* bytes = reinterpret_cast<const unsigned char*>(side);
      CHECK(std::all_of(bytes, bytes + kFence * sizeof(T), [](int b) { return b == kByte; }));
    }
    return {data(), data() + size_};
  }

 private:
  static constexpr int kFence = 32, kByte = 0xa5;
  size_t size_;
  std::vector<T> memory_;
};

/// The largest |got - want|, less what rounding to bfloat16 explains. Infinite for a NaN or an
/// infinity that isn't wanted, or for a missing one.
template <class T>
double error(const std::vector<T>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double g = value(got[i]), w = want[i];
    if (g == w || (std::isnan(g) && std::isnan(w))) continue;
    const int exponent = std::max(std::ilogb(w), -126);
    const double half_step = std::is_same_v<T, Bf16> ? std::ldexp(1., exponent - 8) : 0;
    const double off = std::abs(g - w) - half_step;
    worst = std::isfinite(off) ? std::max(worst, off) : INFINITY;
  }
  return worst;
}

/// Equality of bits, in which a NaN equals itself.
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace previt
