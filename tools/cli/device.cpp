#include "cli/device.h"

#include <torch/cuda.h>

#include <charconv>

#include "distributed/environment.h"
#include "error.h"

namespace previt::cli {
namespace {

// Of several processes on a machine, each has a device of its own.
at::DeviceIndex own_device(int devices) {
  const Place place = place_from(environment_variables());
  if (place.local_size > 1 && place.local_size > devices) {
    fail_usage("--device: {} processes on this machine need a CUDA device each; LibTorch sees {}",
               place.local_size,
               devices);
  }
  return static_cast<at::DeviceIndex>(place.local_rank);
}

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
  if (name == "cpu" || (name == "auto" && devices == 0)) return {at::kCPU};
  if (devices > 0 && (name == "auto" || name == "cuda")) return {at::kCUDA, own_device(devices)};
  const int index = cuda_index(name);
  if (index < 0) fail_usage("--device: {} is not one of auto, cpu, cuda, cuda:N", name);
  if (index >= devices) {
    fail_usage("--device: {} is not there: LibTorch sees {} CUDA devices", name, devices);
  }
  return {at::kCUDA, static_cast<at::DeviceIndex>(index)};
}

}  // namespace previt::cli
