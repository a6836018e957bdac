#pragma once

#include <map>
#include <string>

namespace previt {

/// Names a vocabulary of which hardly anything is used, from the metric code_usage, in words with
/// the usual remedies (`remedy`); "" where there is nothing to say or the metric is missing.
std::string describe_unused_codes(const std::map<std::string, double>& metrics,
                                  const std::string& remedy);

}  // namespace previt
