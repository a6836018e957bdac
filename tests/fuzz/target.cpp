#include "fuzz/target.h"

#include <algorithm>
#include <cstring>

#include "error.h"

namespace previt::fuzz {
namespace {

std::vector<Target>& all() {
  static std::vector<Target> list;
  return list;
}

}  // namespace

bool add(const Target& target) {
  const auto after = std::upper_bound(
      all().begin(), all().end(), target, [](const Target& a, const Target& b) {
        return std::strcmp(a.name, b.name) < 0;
      });
  all().insert(after, target);
  return true;
}

const std::vector<Target>& targets() { return all(); }

bool refuses(const Target& target, const std::string& bytes) {
  try {
    target.parse(bytes);
    return false;
  } catch (const Error&) {
    return true;
  }
}

}  // namespace previt::fuzz
