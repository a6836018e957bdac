#include "augment/bad_samples.h"

#include <algorithm>
#include <map>
#include <utility>

#include "error.h"

namespace previt {

BadSamples::BadSamples(const Dataset& dataset,
                       double max_fraction,
                       int64_t in_epoch,
                       std::function<void(const std::string&)> log)
    : dataset_(dataset), max_fraction_(max_fraction), in_epoch_(in_epoch), log_(std::move(log)) {}

void BadSamples::add(int64_t epoch, int64_t samples, const std::vector<BadSample>& bad) {
  if (epoch_ != epoch) {
    epoch_ = epoch;
    seen_in_epoch_ = bad_in_epoch_ = 0;
  }
  std::map<int64_t, std::string> reasons;
  for (const auto& one : bad) reasons[one.index] = one.reason;
  for (const auto& [index, reason] : reasons) {
    if (reported_.insert(index).second && log_) {
      log_(fmt::format("{}: {}; skipped", dataset_.name(index), reason));
    }
  }
  seen_in_epoch_ += samples;
  bad_in_epoch_ += std::ssize(bad);
  if (bad.empty()) return;
  const int64_t basis = std::max(seen_in_epoch_, std::min<int64_t>(in_epoch_, 100));
  const double allowed = max_fraction_ * static_cast<double>(basis);
  require(static_cast<double>(bad_in_epoch_) <= allowed,
          "{} of {} images are unreadable, more than data.max_bad_fraction {} allows; the last is "
          "{}: {}",
          bad_in_epoch_,
          seen_in_epoch_,
          max_fraction_,
          dataset_.name(bad.back().index),
          bad.back().reason);
}

}  // namespace previt
