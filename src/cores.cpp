#include "cores.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace previt {
namespace {

std::atomic<int64_t>& sharers() {
  static std::atomic<int64_t> processes = 1;
  return processes;
}

}  // namespace

int64_t local_share_of_cores() {
  const int64_t cores = std::thread::hardware_concurrency();  // 0: not known
  return std::max<int64_t>(1, cores / sharers());
}

int64_t local_processes() { return sharers(); }

void divide_cores(int64_t processes) { sharers() = std::max<int64_t>(1, processes); }

}  // namespace previt
