#include "first_few.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace previt {

std::string first_few(const std::vector<std::string>& names) {
  constexpr size_t kMost = 5;
  const auto shown = static_cast<std::ptrdiff_t>(std::min(names.size(), kMost));
  const auto text = fmt::format("{}", fmt::join(names.begin(), names.begin() + shown, ", "));
  return names.size() <= kMost ? text : fmt::format("{} and {} more", text, names.size() - kMost);
}

}  // namespace previt
