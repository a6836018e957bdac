#include "support/device_work.h"

#include <atomic>
#include <mutex>

#include "support/counted_device.h"

namespace previt::test {
namespace {

std::atomic<DeviceListener*> listening{nullptr};  // the backward pass has a thread of its own

std::mutex counts_mutex;
std::map<std::string, int64_t>& all_counts() {
  static std::map<std::string, int64_t> counts;
  return counts;
}

}  // namespace

DeviceListener* device_listener() { return listening; }
void set_device_listener(DeviceListener* listener) { listening = listener; }

void count(const std::string& name) {
  if (DeviceListener* listener = device_listener()) listener->passes_host(name);
  const std::lock_guard lock(counts_mutex);
  ++all_counts()[name];
}

at::Tensor made(at::Tensor tensor) {
  if (DeviceListener* listener = device_listener()) listener->made(tensor);
  return tensor;
}

HostTraffic::HostTraffic() {
  const std::lock_guard lock(counts_mutex);
  before_ = all_counts();
}

std::map<std::string, int64_t> HostTraffic::counts() const {
  const std::lock_guard lock(counts_mutex);
  std::map<std::string, int64_t> since;
  for (const auto& [name, total] : all_counts()) {
    const auto earlier = before_.find(name);
    const int64_t count = total - (earlier == before_.end() ? 0 : earlier->second);
    if (count > 0) since[name] = count;
  }
  return since;
}

}  // namespace previt::test
