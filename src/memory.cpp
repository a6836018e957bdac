#include "memory.h"

#include <fstream>
#include <sstream>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>
#endif

namespace previt {
namespace {

#ifdef __GLIBC__

constexpr int kKeep = 1 << 30;  // larger than any activation worth keeping

// Addresses for half of the machine's memory, to be backed by huge pages once they are touched: the
// heap grows into them. Where the system doesn't give so many, or no huge pages, nothing is lost.
void reserve_heap() {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t wanted = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page / 2;
  constexpr size_t kBlock = kKeep - (1 << 20);  // anything larger is not taken from the heap
  std::vector<void*> blocks;
  while (blocks.size() * kBlock < wanted) {
    void* block = std::malloc(kBlock);
    if (block == nullptr) break;
    blocks.push_back(block);
    const auto first = (reinterpret_cast<uintptr_t>(block) + page - 1) / page * page;
    madvise(reinterpret_cast<void*>(first), kBlock - page, MADV_HUGEPAGE);
  }
  for (void* block : blocks) std::free(block);
}

#endif

}  // namespace

void tune_allocator() {
#ifdef __GLIBC__
  // Above M_MMAP_THRESHOLD every allocation is a mapping of its own, fresh each time.
  constexpr int kOldLimit = 32 << 20;  // the most that glibc before 2.35 takes
  constexpr int kNever = -1;
  mallopt(M_TRIM_THRESHOLD, kNever);
  mallopt(M_TOP_PAD, 64 << 20);
  if (mallopt(M_MMAP_THRESHOLD, kKeep) == 0) {
    mallopt(M_MMAP_THRESHOLD, kOldLimit);
  } else {
    reserve_heap();
  }
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
