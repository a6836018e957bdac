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

/// What a random stream is for. A seed, one of these and its indices (in braces) name a stream; no
/// two of one seed are equal but among the last four (tests/test_random.cpp). A value is part of
/// what a seed means: another one here is another run.
enum class Stream : uint64_t {
  sample_order = 0,      ///< {epoch}: of the loader's samples
  views = 1,             ///< {epoch, sample}: crops, flips and colours
  device_views = 2,      ///< {epoch, image}: the same of data.device_augment
  masks = 0x6d61736b,    ///< {epoch, image}: patches that are masked
  codes = 0x636f646573,  ///< {step}: latents that become codes of a codebook

  // From here on the indices alone make the key: so do the runs that are older than these names.
  unnamed = uint64_t{1} << 63,

  // These seed torch's generators, whose numbers are others than ours. For the weights they are
  // seeded by the run's seed itself.
  step,      ///< {step, micro-step}: drop path, dropout, mixing, erasing
  previews,  ///< {}: masks of the pictures in a report

  // These have one index each, and equal each other where their seeds do: the run's or probe's,
  // finetune.subset_seed, the probe's, and the data set's.
  held_out,     ///< {class}: images held out of data without a validation split
  few_shot,     ///< {class}: training images kept by per_class
  probe_order,  ///< {epoch}: of a linear probe's features
  synthetic,    ///< {sample}: a generated scene
};

/// A random stream (xoshiro256++): the same name always gives the same numbers, whichever thread
/// asks, so nothing about it has to be saved.
class Random final : public Draws {
 public:
  Random(uint64_t seed, Stream stream, std::initializer_list<uint64_t> indices);
  /// From a number that is drawn or mixed already, or in tests.
  explicit Random(uint64_t seed);

  double uniform(double low, double high) override;
  int64_t integer(int64_t low, int64_t high) override;
  double normal(double mean, double deviation) override;
  double beta(double a, double b) override;

  uint64_t bits();

 private:
  double gamma(double shape);
  std::array<uint64_t, 4> state_;
};

/// The key of a stream: one number, which also seeds other generators.
uint64_t stream_key(uint64_t seed, Stream stream, std::initializer_list<uint64_t> indices);

/// A permutation of 0 … n-1 (Fisher-Yates).
std::vector<int64_t> random_permutation(int64_t n, Draws& draws);

}  // namespace previt
