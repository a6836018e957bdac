#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "augment/dataset/dataset.h"

namespace previt {

struct BadSample {
  int64_t index = 0;
  std::string reason;
};

/// Counts the unreadable samples of a loader's batches, in their order, so that the result doesn't
/// depend on which thread met them first. It reports each once.
class BadSamples {
 public:
  /// log: may be empty. max_fraction: of the samples of an epoch, of which there are `in_epoch`.
  BadSamples(const Dataset& dataset,
             double max_fraction,
             int64_t in_epoch,
             std::function<void(const std::string&)> log);

  /// Takes in a batch of `samples` images of this epoch. Throws Error where too many are bad: the
  /// share is taken of at least 100 samples, or of the whole epoch if it is smaller.
  void add(int64_t epoch, int64_t samples, const std::vector<BadSample>& bad);
  /// The next batch begins its epoch's count anew.
  void restart_epoch() { epoch_ = -1; }
  /// Of all epochs, each sample once, however often it was met.
  int64_t count() const { return std::ssize(reported_); }

 private:
  const Dataset& dataset_;
  const double max_fraction_;
  const int64_t in_epoch_;
  const std::function<void(const std::string&)> log_;
  std::set<int64_t> reported_;
  int64_t epoch_ = -1, seen_in_epoch_ = 0, bad_in_epoch_ = 0;
};

}  // namespace previt
