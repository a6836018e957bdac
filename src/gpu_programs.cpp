#include "gpu_programs.h"

#include <ATen/Context.h>
#include <fmt/format.h>

#include <cstdlib>

namespace previt {

bool& plain_kernels() {
  thread_local bool plain = false;
  return plain;
}

bool gpu_kernels_allowed() {
  static const bool on = [] {
    const char* asked = std::getenv("PREVIT_GPU_KERNELS");
    return asked == nullptr || std::string(asked) != "off";
  }();
  return on && !plain_kernels() && !at::globalContext().deterministicAlgorithms();
}

std::vector<std::string> gpu_defines(at::ScalarType type, int64_t width) {
  return {type == at::kBFloat16 ? "PREVIT_TYPE=Bf16" : "PREVIT_TYPE=float",
          fmt::format("PREVIT_WIDTH={}", width)};
}

const GpuProgram* RowPrograms::find(at::Device device, at::ScalarType type, int64_t width) {
  const bool known_type = type == at::kFloat || type == at::kBFloat16;
  if (!device.is_cuda() || !known_type) return nullptr;
  return programs_.find(device, {type, width}, [&](at::Device gpu) {
    const char* const type_name = type == at::kBFloat16 ? "bf16" : "fp32";
    return tried_gpu_program(fmt::format("{} of {} in {}", source_.name, width, type_name),
                             gpu,
                             source_.text,
                             source_.defines(type, width),
                             [&] { return source_.trial(gpu, type, width); });
  });
}

}  // namespace previt
