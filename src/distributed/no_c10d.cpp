// In place of c10d_group.cpp where LibTorch was built without c10d.
#include "distributed/process_group.h"

namespace previt {

void require_c10d() {
  fail_usage("several processes: this LibTorch was built without c10d, which they need");
}

std::unique_ptr<ProcessGroup> open_group(const Place&, const JoinOptions&) {
  require_c10d();
  return nullptr;
}

}  // namespace previt
