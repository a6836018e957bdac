#include "distributed/device_identities.h"

#include <map>
#include <sstream>

#include "error.h"

namespace previt {

bool are_devices_of_an_engine(const std::string& lines) {
  std::map<std::string, int64_t> ranks;  // by identity
  bool all = true;
  int64_t rank = 0;
  std::istringstream stream(lines);
  for (std::string identity; std::getline(stream, identity); ++rank) {
    all = all && !identity.empty();
    const auto [other, is_new] = ranks.emplace(identity, rank);
    if (is_new || identity.empty()) continue;
    fail_usage(
        "--device: ranks {} and {} have the same GPU, {}; start one process a GPU, or set "
        "PREVIT_NCCL=0 to let them share it over main memory",
        other->second,
        rank,
        identity);
  }
  return all && rank > 0;
}

}  // namespace previt
