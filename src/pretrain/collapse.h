#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace previt {

/// Where a method's recipe has the remedies.
struct CollapseRemedies {
  std::string section = "dino";  ///< of the recipe that the remedies' keys are in
  std::string other{};           ///< another remedy for one prototype that takes all
};

/// Names the collapse of a self-distilling run from its metrics teacher_entropy (nats),
/// top_prototype (largest share of the targets that one prototype gets) and feature_spread, in
/// words with the usual remedy; "" where there is none. Metrics that are missing are not judged. At
/// the start of every run the targets are nearly uniform, so ask only after its warm-up.
std::string describe_collapse(const std::map<std::string, double>& metrics,
                              int64_t prototypes,
                              const CollapseRemedies& remedies = {});

}  // namespace previt
