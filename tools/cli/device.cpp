#include "cli/device.h"

#include <torch/cuda.h>

#include <charconv>

#include "error.h"

namespace previt::cli {
namespace {

/// N of "cuda:N", 0 of "cuda", -1 of anything else.
int cuda_index(const std::string& name) {
  const std::string prefix = "cuda";
  if (name == prefix) return 0;
  if (!name.starts_with(prefix + ":")) return -1;
  int index = -1;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + prefix.size() + 1, end, index);
  return error == std::errc() && stop == end ? index : -1;
}

}  // namespace

at::Device choose_device(const std::string& name) {
  const auto devices = static_cast<int>(torch::cuda::device_count());
  if (name == "auto") return devices > 0 ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  if (name == "cpu") return {at::kCPU};
  const int index = cuda_index(name);
  if (index < 0) fail_usage("--device: {} is not one of auto, cpu, cuda, cuda:N", name);
  if (index >= devices) {
    fail_usage("--device: {} is not there: LibTorch sees {} CUDA devices", name, devices);
  }
  return {at::kCUDA, static_cast<at::DeviceIndex>(index)};
}

}  // namespace previt::cli
