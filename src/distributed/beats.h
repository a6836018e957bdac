#pragma once

#include <cstdint>
#include <optional>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

namespace previt {

/// What a rank tells the others twice a second.
struct Beat {
  int64_t ticks = 0;  ///< so often it has told
  int64_t begun = 0;  ///< operations
  int64_t busy = 0;   ///< Busy objects
  bool operator==(const Beat&) const = default;
};

void write_beat(c10d::Store& store, int64_t rank, const Beat& beat);

/// The last beat of each rank.
std::vector<Beat> read_beats(c10d::Store& store, int64_t size);

/// Counts how often in a row each rank's beat was the one before.
class Silences {
 public:
  /// A rank that has been silent `limit` times, if there is one.
  std::optional<size_t> next(const std::vector<Beat>& now, int limit);
  void forget() { before_.clear(); }

 private:
  std::vector<Beat> before_;
  std::vector<int> times_;
};

}  // namespace previt
