#include "pretrain/start_report.h"

#include <fmt/ranges.h>

namespace previt {
namespace {

std::string groups_text(const StartReport::Groups& groups) {
  std::vector<std::string> texts;
  for (const auto& [group, count] : groups) texts.push_back(fmt::format("{} ({})", group, count));
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace

std::vector<std::string> StartReport::lines() const {
  std::vector<std::string> lines = {"starting from " + source};
  const auto add = [&](const char* what, const std::string& text) {
    if (!text.empty()) lines.push_back(fmt::format("  {}: {}", what, text));
  };
  add("loaded", groups_text(loaded));
  add("converted", fmt::format("{}", fmt::join(converted, ", ")));
  add("left out", groups_text(left_out));
  add("started anew", fmt::format("{}", fmt::join(anew, ", ")));
  return lines;
}

}  // namespace previt
