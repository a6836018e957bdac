#pragma once

#include <map>
#include <string>

namespace previt {

/// Says in words, with the usual remedies (`remedy`), that a codebook has collapsed, judged by the
/// metric code_usage. "" if at least a tenth of the codes are used, or the metric is missing.
std::string describe_codebook_collapse(const std::map<std::string, double>& metrics,
                                       const std::string& remedy);

}  // namespace previt
