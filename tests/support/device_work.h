#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <string>

namespace previt::test {

/// Hears what counted_device() does.
class DeviceListener {
 public:
  virtual ~DeviceListener() = default;
  /// An operator with its arguments and results, all of the device.
  virtual void launched(const c10::OperatorHandle& op,
                        const torch::jit::Stack& arguments,
                        const torch::jit::Stack& results) = 0;
  virtual void copied(const at::Tensor& from, const at::Tensor& to) = 0;
  /// Memory that was taken.
  virtual void made(const at::Tensor& tensor) = 0;
  /// Something that HostTraffic counts, before it is done.
  virtual void passes_host(const std::string& name) = 0;
};

/// The one that listens, or null.
DeviceListener* device_listener();
void set_device_listener(DeviceListener* listener);

/// For counted_device(): counts for HostTraffic and DeviceOperators; tells of new memory.
void count(const std::string& name);
void count_operator(const std::string& name);
at::Tensor made(at::Tensor tensor);

}  // namespace previt::test
