#include "models/weights/misfits.h"

#include <utility>

#include "error.h"
#include "log.h"

namespace previt {

Misfits::Misfits(std::string source, const std::string* allow)
    : source_(std::move(source)),
      offered_(allow != nullptr),
      patterns_(offered_ ? *allow : ""),
      idle_(patterns_.all().begin(), patterns_.all().end()) {}

bool Misfits::allowed(const std::string& name) {
  const auto fitting = patterns_.fitting(name);
  for (const std::string& pattern : fitting) idle_.erase(pattern);
  return !fitting.empty();
}

std::string Misfits::advice(const std::set<std::string>& families, const char* what) const {
  return offered_ ? fmt::format("; --allow '{}' {}", fmt::join(families, ","), what) : "";
}

bool Misfits::lacks(const std::string& name) {
  const bool fine = allowed(name);
  if (!fine) missing_.push_back(name);
  return fine;
}

bool Misfits::left_over(const std::string& name) {
  const bool fine = allowed(name);
  if (!fine) unexpected_.push_back(name);
  return fine;
}

bool Misfits::other_shape(const std::string& name, at::IntArrayRef found, at::IntArrayRef wanted) {
  const bool fine = allowed(name);
  require(fine,
          "{}: {} is {}, the model's is {}{}",
          source_,
          name,
          found.vec(),
          wanted.vec(),
          advice(families_of({name}), "starts it anew"));
  return fine;
}

void Misfits::require_none() const {
  if (missing_.empty() && unexpected_.empty()) return;
  std::set<std::string> all = families_of(missing_);
  const std::set<std::string> left = families_of(unexpected_);
  const std::string lacks =
      all.empty() ? "" : fmt::format("lacks {} of the model", fmt::join(all, ", "));
  const std::string leaves =
      left.empty() ? ""
                   : fmt::format("has {}, for which the model has no place", fmt::join(left, ", "));
  all.insert(left.begin(), left.end());
  fail("{}: {}{}{}{}",
       source_,
       lacks,
       lacks.empty() || leaves.empty() ? "" : ", and ",
       leaves,
       advice(all, "goes on without"));
}

void Misfits::warn_of_idle_patterns() const {
  for (const std::string& pattern : idle_) {
    warn("--allow '{}': nothing that {} lacks or has left over has such a name", pattern, source_);
  }
}

}  // namespace previt
