#include "pretrain/codebook_collapse.h"

#include <fmt/format.h>

namespace previt {
namespace {

constexpr double kFew = 0.1;  // share of used codes below which a codebook has collapsed

}  // namespace

std::string describe_codebook_collapse(const std::map<std::string, double>& metrics,
                                       const std::string& remedy) {
  const auto usage = metrics.find("code_usage");
  if (usage == metrics.end() || usage->second >= kFew) return "";
  return fmt::format(
      "codebook collapse: {:.1f}% of the codes are used; {}", 100 * usage->second, remedy);
}

}  // namespace previt
