#include "memory.h"

#include <fstream>
#include <sstream>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace previt {

void tune_allocator() {
#ifdef __GLIBC__
  // Above M_MMAP_THRESHOLD every allocation is a mapping of its own, fresh each time; 1 GiB is
  // larger than any activation worth keeping.
  constexpr int kKeep = 1 << 30;
  constexpr int kOldLimit = 32 << 20;  // the most that glibc before 2.35 takes
  if (mallopt(M_MMAP_THRESHOLD, kKeep) == 0) mallopt(M_MMAP_THRESHOLD, kOldLimit);
  mallopt(M_TRIM_THRESHOLD, kKeep);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("VmHWM:")) continue;
    std::istringstream words(line.substr(6));
    int64_t kibibytes = 0;
    words >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

}  // namespace previt
