#include "cli/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/cuda.h>

#include <charconv>
#include <filesystem>
#include <mutex>

#include "communicator.h"
#include "cores.h"
#include "distributed/environment.h"
#include "error.h"
#include "log.h"
#include "upload.h"

namespace previt::cli {
namespace {

// Of several processes on a machine, each has a device of its own.
at::DeviceIndex own_device(int devices) {
  const Place place = place_from(environment_variables());
  if (place.local_rank >= devices) {
    fail_usage(
        "--device: process {} of this machine needs a CUDA device of its own, but LibTorch sees "
        "{}; where each process is given one, say --device cuda:0",
        place.local_rank,
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

GpuFacts gpu_facts() {
  return {.devices = static_cast<int>(torch::cuda::device_count()),
          .built_for_it = at::globalContext().getAcceleratorHooksInterface(at::kCUDA).isBuilt(),
          .driver = std::filesystem::exists("/proc/driver/nvidia/version")};
}

void tell_why_automatic() {
  static std::once_flag said;
  std::call_once(said, [] {
    const std::string why = why_automatic(gpu_facts());
    if (!why.empty()) info("{}", why);
  });
}

at::Device named_device(const std::string& name) {
  if (name == "auto") tell_why_automatic();
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

}  // namespace

std::string why_automatic(const GpuFacts& facts) {
  if (facts.devices > 0) {
    return fmt::format("device: cuda:0, the first of {} that LibTorch sees (auto)", facts.devices);
  }
  if (!facts.driver) return "";
  if (facts.built_for_it) {
    return "device: cpu, as LibTorch sees no GPU though a driver is loaded; is it as new as "
           "LibTorch's CUDA needs? (auto)";
  }
  return "device: cpu, as this LibTorch has no CUDA; the GPU here needs one that has "
         "(docs/install.md) (auto)";
}

at::Device choose_device(const std::string& name) {
  const at::Device device = named_device(name);
  // What names no index means it too, and no process leaves a trace on another's GPU.
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
  world().use_device(device);
  pin_host_memory_for(device);
  keep_cores_for_launching(device.is_cuda());
  return device;
}

}  // namespace previt::cli
