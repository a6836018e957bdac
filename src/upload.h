#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace previt {

/// A tensor of the host on `device`, for which the host doesn't wait: it goes through pinned
/// memory, from where CUDA copies by itself. On the CPU, the tensor itself.
at::Tensor upload(const at::Tensor& host, at::Device device);

/// Starts to copy a tensor to the host, which goes on meanwhile. The result waits until the copy is
/// there, and gives it. On the CPU, the tensor itself.
std::function<at::Tensor()> start_download(const at::Tensor& tensor);

/// From here on host_memory() is pinned where `device` is CUDA's: a program says so once it has
/// chosen its device.
void pin_host_memory_for(at::Device device);

/// Uninitialised memory for what goes to the device: pinned, if a program asked for it.
at::Tensor host_memory(at::IntArrayRef sizes, at::ScalarType type);

}  // namespace previt
