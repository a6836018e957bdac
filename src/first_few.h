#pragma once

#include <string>
#include <vector>

namespace previt {

/// "a, b"; for more than five names "a, b, c, d, e and 3 more".
std::string first_few(const std::vector<std::string>& names);

}  // namespace previt
