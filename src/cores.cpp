#include "cores.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

namespace previt {
namespace {

std::atomic<int64_t>& sharers() {
  static std::atomic<int64_t> processes = 1;
  return processes;
}

std::atomic<int64_t>& bound_cores() {
  static std::atomic<int64_t> cores = 0;
  return cores;
}

std::atomic<int64_t>& launching_cores() {
  static std::atomic<int64_t> cores = 0;
  return cores;
}

bool is_bound_to(int64_t cores) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
  return CPU_COUNT(&allowed) == cores && cores < ::sysconf(_SC_NPROCESSORS_ONLN);
}

}  // namespace

int64_t local_share_of_cores() {
  if (const int64_t own = bound_cores(); own > 0) return own;
  const int64_t cores = std::thread::hardware_concurrency();  // 0: not known
  return std::max<int64_t>(1, cores / sharers());
}

int64_t cores_for_reading() {
  return std::max<int64_t>(1, local_share_of_cores() - launching_cores());
}

void keep_cores_for_launching(bool keep) { launching_cores() = keep ? 2 : 0; }

int64_t local_processes() { return sharers(); }

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "";
}

std::string machine_text() {
  const std::string name = processor_name();
  return fmt::format(
      "{}{}{} cores", name, name.empty() ? "" : ", ", std::thread::hardware_concurrency());
}

void divide_cores(int64_t processes, int64_t own) {
  sharers() = std::max<int64_t>(1, processes);
  bound_cores() = own > 0 && is_bound_to(own) ? own : 0;
}

}  // namespace previt
