#include "support/device_work.h"

#include <atomic>

#include "support/counted_device.h"

namespace previt::test {
namespace {

std::atomic<DeviceListener*> listening{nullptr};  // the backward pass has a thread of its own

Counts& traffic() {
  static Counts one;
  return one;
}

Counts& computed() {
  static Counts one;
  return one;
}

}  // namespace

DeviceListener* device_listener() { return listening; }
void set_device_listener(DeviceListener* listener) { listening = listener; }

void count(const std::string& name) {
  if (DeviceListener* listener = device_listener()) listener->passes_host(name);
  traffic().add(name);
}

void count_operator(const std::string& name) { computed().add(name); }

at::Tensor made(at::Tensor tensor) {
  if (DeviceListener* listener = device_listener()) listener->made(tensor);
  return tensor;
}

HostTraffic::HostTraffic() : CountsSince(traffic()) {}
DeviceOperators::DeviceOperators() : CountsSince(computed()) {}

}  // namespace previt::test
