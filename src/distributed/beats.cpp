#include "distributed/beats.h"

#include <fmt/format.h>

#include <sstream>
#include <string>
#include <utility>

namespace previt {
namespace {

std::string key_of_beat(int64_t rank) { return fmt::format("beat/{}", rank); }

}  // namespace

void write_beat(c10d::Store& store, int64_t rank, const Beat& beat) {
  store.set(key_of_beat(rank), fmt::format("{} {} {}", beat.ticks, beat.begun, beat.busy));
}

std::vector<Beat> read_beats(c10d::Store& store, int64_t size) {
  std::vector<std::string> keys;
  for (int64_t rank = 0; rank < size; ++rank) keys.push_back(key_of_beat(rank));
  std::vector<Beat> all;
  for (const auto& value : store.multiGet(keys)) {
    Beat& beat = all.emplace_back();
    std::istringstream(std::string(value.begin(), value.end())) >> beat.ticks >> beat.begun >>
        beat.busy;
  }
  return all;
}

std::optional<size_t> Silences::next(const std::vector<Beat>& now, int limit) {
  const auto before = std::exchange(before_, now);
  if (before.empty()) times_.assign(now.size(), 0);
  for (size_t rank = 0; rank < before.size(); ++rank) {
    times_[rank] = now[rank] == before[rank] ? times_[rank] + 1 : 0;
    if (times_[rank] >= limit) return rank;
  }
  return std::nullopt;
}

}  // namespace previt
