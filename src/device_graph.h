#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace previt {

/// Work of a device that is recorded once and then launched as a whole (a CUDA graph). All of it
/// stays as it was recorded: addresses, sizes, and every number that came from the host. Torch's
/// generators alone are read anew.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  /// Does `work` where it can be recorded later, and waits for it. What is made on a first use is
  /// there then.
  virtual void rehearse(const std::function<void()>& work) = 0;
  /// Records what `work` gives the device to do; nothing of it is done yet. What it makes lies in
  /// memory of the graph. Throws where something can't be recorded, such as a wait, after which
  /// this object is of no more use.
  virtual void record(const std::function<void()>& work) = 0;
  /// Does what was recorded, after what the device was given before.
  virtual void replay() = 0;
};

using DeviceGraphMaker = std::function<std::unique_ptr<DeviceGraph>(at::Device)>;

/// CUDA's. Null for other devices, and in a build without CUDA's headers (cmake/cuda.cmake).
std::unique_ptr<DeviceGraph> make_device_graph(at::Device device);

}  // namespace previt
