#pragma once

#include <string>
#include <vector>

#include "gpu_program.h"
#include "support/catch.h"

namespace previt::test {

/// Whether NVRTC is there; warns if not.
inline bool nvrtc_is_here() {
  if (can_compile_for_gpu()) return true;
  WARN("skipped: no libnvrtc.so here (the package nvidia-cuda-nvrtc has one)");
  return false;
}

/// That NVRTC's machine code has these kernels.
inline void check_code(const std::string& code, const std::vector<std::string>& kernels) {
  CHECK(code.substr(1, 3) == "ELF");
  for (const std::string& kernel : kernels) {
    CHECK(code.find(".text." + kernel + '\0') != std::string::npos);
  }
}

}  // namespace previt::test
