#pragma once

#include <c10/core/Device.h>

#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace previt {

/// What adds up tensors of a device without a way over main memory.
class DeviceEngine {
 public:
  virtual ~DeviceEngine() = default;
  virtual bool serves(at::Device device) const = 0;
  /// A name that no other device has, of this machine or another, such as a GPU's UUID.
  virtual std::string identity(at::Device device) const = 0;
  /// Its operations among the ranks, each of which has a device of its own. They only enqueue: an
  /// operation has ended when its work's isCompleted() says so.
  virtual c10::intrusive_ptr<c10d::Backend> open(const c10::intrusive_ptr<c10d::Store>& store,
                                                 int64_t rank,
                                                 int64_t size) const = 0;
};

/// NCCL, where LibTorch was built with it (CMakeLists.txt); else nullptr.
const DeviceEngine* device_engine();

}  // namespace previt
