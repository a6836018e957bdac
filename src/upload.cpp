#include "upload.h"

#include <torch/types.h>

#include <atomic>

namespace previt {
namespace {

std::atomic<bool> pinned{false};

}  // namespace

at::Tensor upload(const at::Tensor& host, at::Device device) {
  if (!host.is_cpu() || device.is_cpu()) return host.to(device);
  const bool pageable = device.is_cuda() && !host.is_pinned();
  return (pageable ? host.pin_memory() : host).to(device, /*non_blocking=*/true);
}

void pin_host_memory_for(at::Device device) { pinned = device.is_cuda(); }

at::Tensor host_memory(at::IntArrayRef sizes, at::ScalarType type) {
  return torch::empty(sizes, torch::dtype(type).pinned_memory(pinned.load()));
}

}  // namespace previt
