#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <utility>
#include <vector>

namespace previt {

/// The source that random transforms draw from. Tests replay recorded draws through it.
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

/// What a random stream is for. A seed, one of these and its indices (in braces) name a stream. No
/// two streams of a seed are equal, but for `older_choice` (tests/test_random.cpp). The values are
/// part of what a seed means: changing one changes every run that uses it.
enum class Stream : uint64_t {
  sample_order = 0,               ///< {epoch}: of the loader's samples
  views = 1,                      ///< {epoch, sample}: crops, flips and colours
  device_views = 2,               ///< {epoch, image}: the same for data.device_augment
  masks = 0x6d61736b,             ///< {epoch, image}: which patches are masked
  codes = 0x636f646573,           ///< {step}: which latents become codes of a codebook
  held_out = 0x68656c64,          ///< {class}: images held out of data without a validation split
  few_shot = 0x666577,            ///< {class}: training images kept by per_class
  probe_order = 0x70726f6265,     ///< {epoch}: of a linear probe's features
  probe_choice = 0x63686f696365,  ///< {class}: images that choose among a probe's classifiers

  // From here on, the indices alone make the key, as in runs that are older than these names.
  unnamed = uint64_t{1} << 63,

  // These seed torch's generators, which give other numbers than Random. For the first weights, the
  // run's seed itself seeds them.
  step,      ///< {step, micro-step}: drop path, dropout, mixing, erasing
  previews,  ///< {}: masks of the pictures in a report

  synthetic,  ///< {sample}: a generated scene

  // What held_out and few_shot drew in runs that keep no list of these images. It is equal to
  // `synthetic`, so nothing new draws from it.
  older_choice,  ///< {class}
};

/// A random stream (xoshiro256++): the same name always gives the same numbers, whichever thread
/// asks, so nothing about it has to be saved. Source: Blackman and Vigna 2021, "Scrambled Linear
/// Pseudorandom Number Generators".
class Random final : public Draws {
 public:
  Random(uint64_t seed, Stream stream, std::initializer_list<uint64_t> indices);
  /// For a seed that was itself drawn or mixed, and for tests.
  explicit Random(uint64_t seed);

  double uniform(double low, double high) override;
  int64_t integer(int64_t low, int64_t high) override;
  double normal(double mean, double deviation) override;
  double beta(double a, double b) override;

  uint64_t bits();  ///< the next 64

 private:
  double gamma(double shape);
  std::array<uint64_t, 4> state_;
};

/// The key of a stream: one number, which also seeds other generators.
uint64_t stream_key(uint64_t seed, Stream stream, std::initializer_list<uint64_t> indices);

/// A permutation of 0 … n-1 (Fisher-Yates).
std::vector<int64_t> random_permutation(int64_t n, Draws& draws);

}  // namespace previt
