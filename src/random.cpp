#include "random.h"

#include <cmath>
#include <numbers>

namespace previt {
namespace {

// SplitMix64 (Steele, Lea and Flood 2014), which xoshiro's authors recommend for seeding.
uint64_t splitmix(uint64_t& x) {
  uint64_t z = (x += 0x9E3779B97F4A7C15ull);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t mixed(uint64_t state) { return splitmix(state); }

}  // namespace

uint64_t stream_key(uint64_t seed, Stream stream, std::initializer_list<uint64_t> indices) {
  uint64_t key = mixed(seed);
  const auto add = [&](uint64_t index) { key = mixed(key ^ (index + 0x632BE59BD9B4E019ull)); };
  if (stream < Stream::unnamed) add(static_cast<uint64_t>(stream));
  for (const uint64_t index : indices) add(index);
  return key;
}

Random::Random(uint64_t seed) {
  uint64_t state = mixed(seed);
  for (auto& word : state_) word = splitmix(state);
}

Random::Random(uint64_t seed, Stream stream, std::initializer_list<uint64_t> indices) {
  uint64_t state = stream_key(seed, stream, indices);
  for (auto& word : state_) word = splitmix(state);
}

uint64_t Random::bits() {
  const uint64_t result = rotate(state_[0] + state_[3], 23) + state_[0];
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = rotate(state_[3], 45);
  return result;
}

double Random::uniform(double low, double high) {
  // The upper 53 bits, as many as a double holds.
  return low + (high - low) * (static_cast<double>(bits() >> 11) * 0x1.0p-53);
}

int64_t Random::integer(int64_t low, int64_t high) {
  // A multiplication and a shift instead of a remainder (Lemire 2019). No draw is rejected: the
  // bias is at most range / 2^64.
  const auto range = static_cast<uint64_t>(high - low);
  return low + static_cast<int64_t>((static_cast<unsigned __int128>(bits()) * range) >> 64);
}

double Random::normal(double mean, double deviation) {
  // Box-Muller. uniform() can be 0 but not 1, so log1p(-u) is finite.
  const double radius = std::sqrt(-2 * std::log1p(-uniform(0, 1)));
  return mean + deviation * radius * std::cos(2 * std::numbers::pi * uniform(0, 1));
}

double Random::beta(double a, double b) {
  const double x = gamma(a);
  const double y = gamma(b);
  // Both underflow to 0 if a and b are tiny.
  return x + y > 0 ? x / (x + y) : 0.5;
}

// Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables" (2000).
double Random::gamma(double shape) {
  if (shape < 1) return gamma(shape + 1) * std::pow(1 - uniform(0, 1), 1 / shape);
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(0, 1);
    const double v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log1p(-uniform(0, 1)) < 0.5 * x * x + d - d * v + d * std::log(v)) {
      return d * v;
    }
  }
}

std::vector<int64_t> random_permutation(int64_t n, Draws& draws) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = n - 1; i > 0; --i) std::swap(order[i], order[draws.integer(0, i + 1)]);
  return order;
}

}  // namespace previt
