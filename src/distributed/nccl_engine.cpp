// NCCL by c10d. The only file that needs the headers of CUDA and NCCL.
#include <ATen/cuda/CUDAContext.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/cuda/nccl.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <vector>

#include "distributed/device_engine.h"
#include "distributed/watch.h"
#include "log.h"

namespace previt {
namespace {

class NcclGroup final : public c10d::ProcessGroupNCCL {
 public:
  using ProcessGroupNCCL::ProcessGroupNCCL;
  ~NcclGroup() override {
    try {
      shutdown();                      // or the destructor below warns
    } catch (const std::exception&) {  // all is done, whatever NCCL says
    }
  }
};

class NcclEngine final : public DeviceEngine {
 public:
  bool serves(at::Device device) const override { return device.is_cuda(); }

  std::string identity(at::Device device) const override {
    const auto& id = at::cuda::getDeviceProperties(device.index())->uuid;
    std::vector<uint8_t> bytes(sizeof id.bytes);
    std::memcpy(bytes.data(), id.bytes, sizeof id.bytes);
    return fmt::format("GPU-{:02x}", fmt::join(bytes, ""));
  }

  c10::intrusive_ptr<c10d::Backend> open(const c10::intrusive_ptr<c10d::Store>& store,
                                         int64_t rank,
                                         int64_t size) const override {
    // Else threads of c10d watch the operations, and end the process in their own words.
    ::setenv("TORCH_NCCL_BLOCKING_WAIT", "1", /*overwrite=*/1);
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = kNever;
    return c10::make_intrusive<NcclGroup>(
        store, static_cast<int>(rank), static_cast<int>(size), std::move(options));
  }
};

// NCCL's header decides how c10d's classes are laid out, so it must be the one of LibTorch's build.
bool headers_fit() {
  constexpr uint64_t headers =
      (uint64_t{NCCL_MAJOR} << 32) | (uint64_t{NCCL_MINOR} << 16) | uint64_t{NCCL_PATCH};
  static const bool fit = [] {
    const uint64_t built = torch::cuda::nccl::version();
    if (built == headers) return true;
    warn(
        "NCCL: PreViT was built with the header of {}.{}.{}, but LibTorch with that of {}.{}.{}; "
        "tensors go over main memory",
        NCCL_MAJOR,
        NCCL_MINOR,
        NCCL_PATCH,
        built >> 32,
        (built >> 16) & 0xffff,
        built & 0xffff);
    return false;
  }();
  return fit;
}

bool is_switched_off() {
  const char* value = std::getenv("PREVIT_NCCL");
  return value != nullptr && std::strcmp(value, "0") == 0;
}

}  // namespace

const DeviceEngine* device_engine() {
  static const NcclEngine engine;
  return is_switched_off() || !headers_fit() ? nullptr : &engine;
}

}  // namespace previt
