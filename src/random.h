#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <utility>
#include <vector>

namespace previt {

/// What a random transform draws from. Tests replay recorded draws through it.
class Draws {
 public:
  virtual ~Draws() = default;
  /// A real number in [low, high).
  virtual double uniform(double low, double high) = 0;
  /// An integer in [low, high).
  virtual int64_t integer(int64_t low, int64_t high) = 0;
  virtual double normal(double mean, double deviation) = 0;
  virtual double beta(double a, double b) = 0;

  bool chance(double probability) { return uniform(0, 1) < probability; }
};

/// A random stream (xoshiro256++) named by a seed and any number of coordinates, for example
/// {epoch, sample}: the same name always gives the same numbers, whichever thread asks, so nothing
/// about it has to be saved.
class Random final : public Draws {
 public:
  explicit Random(uint64_t seed, std::initializer_list<uint64_t> coordinates = {});

  double uniform(double low, double high) override;
  int64_t integer(int64_t low, int64_t high) override;
  double normal(double mean, double deviation) override;
  double beta(double a, double b) override;

  uint64_t bits();

 private:
  double gamma(double shape);
  std::array<uint64_t, 4> state_;
};

/// One number out of a seed and coordinates, for seeding other generators.
uint64_t mix_seed(uint64_t seed, std::initializer_list<uint64_t> coordinates);

/// A permutation of 0 … n-1 (Fisher-Yates).
std::vector<int64_t> random_permutation(int64_t n, Draws& draws);

}  // namespace previt
