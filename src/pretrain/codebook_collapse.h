#pragma once

#include <map>
#include <string>

namespace previt {

/// Names a codebook collapse, from the metric code_usage, in words with the usual remedies
/// (`remedy`); "" where most codes are used or the metric is missing.
std::string describe_codebook_collapse(const std::map<std::string, double>& metrics,
                                       const std::string& remedy);

}  // namespace previt
