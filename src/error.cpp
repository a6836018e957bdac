#include "error.h"

#include <cerrno>
#include <cstring>

namespace previt {

void require_system(bool done, const std::string& place) {
  if (!done) fail("{}: {}", place, errno == 0 ? "failed" : std::strerror(errno));
}

}  // namespace previt
