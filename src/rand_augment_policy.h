#pragma once

#include <cstdint>
#include <string>

namespace previt {

/// A RandAugment policy from timm's config string (timm:timm/data/auto_augment.py): "rand",
/// followed by any of -m<magnitude>, -n<operations>, -p<probability>, -mstd<deviation>,
/// -mmax<limit> and -inc1. With a deviation above 100, magnitudes are uniform in [0, m].
struct RandAugment {
  // Defined in the .cpp file: with an inline constructor, GCC 12 warns that `config` is
  // uninitialised in whatever holds a policy.
  RandAugment();

  std::string config;  ///< as it was written; "": no policy
  double magnitude = 10;
  int64_t operations = 2;
  double probability = 0.5;  ///< of each operation
  double deviation = 0;      ///< of the magnitude
  double limit = 10;         ///< highest magnitude
  bool increasing = false;   ///< every operation gets stronger with the magnitude

  bool on() const { return !config.empty(); }

  static RandAugment parse(const std::string& config);  ///< throws UsageError; "": no policy
};

}  // namespace previt
