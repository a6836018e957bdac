#pragma once

#include <cstdint>
#include <string>

namespace previt {

/// A policy from timm's config string: "rand" followed by -m<magnitude> -n<operations>
/// -p<probability> -mstd<deviation> (over 100: uniform in [0, m]) -mmax<limit> -inc1.
struct RandAugment {
  RandAugment();  // not here: GCC 12 then takes `config` for uninitialised in what holds a policy

  std::string config;  ///< as it was written; "": none
  double magnitude = 10;
  int64_t operations = 2;
  double probability = 0.5;  ///< of each operation
  double deviation = 0;
  double limit = 10;
  bool increasing = false;  ///< every operation gets stronger with the magnitude

  bool on() const { return !config.empty(); }

  static RandAugment parse(const std::string& config);  ///< throws UsageError; "" is none
};

}  // namespace previt
