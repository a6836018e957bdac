#include "upload.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/types.h>

#include <atomic>
#include <memory>

namespace previt {
namespace {

std::atomic<bool> pinned{false};

}  // namespace

at::Tensor upload(const at::Tensor& host, at::Device device) {
  if (!host.is_cpu() || device.is_cpu()) return host.to(device);
  const bool pageable = device.is_cuda() && !host.is_pinned();
  return (pageable ? host.pin_memory() : host).to(device, /*non_blocking=*/true);
}

std::function<at::Tensor()> start_download(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return [tensor] { return tensor; };
  const at::Device device = tensor.device();
  const auto options = tensor.options().device(at::kCPU).pinned_memory(device.is_cuda());
  const at::Tensor host = torch::empty(tensor.sizes(), options);
  host.copy_(tensor, /*non_blocking=*/true);
  const auto there = std::make_shared<c10::Event>(device.type());
  there->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  return [host, there] {
    there->synchronize();
    return host;
  };
}

void pin_host_memory_for(at::Device device) { pinned = device.is_cuda(); }

at::Tensor host_memory(at::IntArrayRef sizes, at::ScalarType type) {
  return torch::empty(sizes, torch::dtype(type).pinned_memory(pinned.load()));
}

}  // namespace previt
