#include "rand_augment_policy.h"

#include <algorithm>
#include <vector>

#include "error.h"

namespace previt {
namespace {

// The number behind the first `letters` characters of `part`; std::stod alone accepts "9x".
double number_after(const std::string& part, size_t letters, const std::string& config) {
  const std::string digits = part.substr(letters);
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(digits, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (digits.empty() || used != digits.size()) fail_usage("{}: {} needs a number", config, part);
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

RandAugment::RandAugment() = default;

RandAugment RandAugment::parse(const std::string& config) {
  if (config.empty()) return {};
  const auto parts = split(config, '-');
  if (parts.front() != "rand") fail_usage("{} does not begin with rand", config);
  RandAugment policy;
  policy.config = config;
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string& part = parts[i];
    const size_t letters = std::min(part.find_first_of("0123456789"), part.size());
    const std::string key = part.substr(0, letters);
    if (key == "m") {
      policy.magnitude = number_after(part, letters, config);
    } else if (key == "n") {
      policy.operations = static_cast<int64_t>(number_after(part, letters, config));
    } else if (key == "p") {
      policy.probability = number_after(part, letters, config);
    } else if (key == "mstd") {
      policy.deviation = number_after(part, letters, config);
    } else if (key == "mmax") {
      policy.limit = number_after(part, letters, config);
    } else if (key == "inc") {
      policy.increasing = number_after(part, letters, config) != 0;
    } else {
      fail_usage("{}: {} is not one of m, n, p, mstd, mmax, inc with a number", config, part);
    }
  }
  return policy;
}

}  // namespace previt
