#pragma once

#include <map>
#include <mutex>
#include <tuple>

#include "gpu_program.h"
#include "gpu_trial.h"

namespace previt {

/// Whether LibTorch's operators shall compute in this thread on every device, as PlainKernelsGuard
/// says.
bool& plain_kernels();

/// Whether our own kernels may compute at all: not with PREVIT_GPU_KERNELS=off, not where LibTorch
/// is asked for its deterministic operators, and not with plain_kernels().
bool gpu_kernels_allowed();

/// What a source is compiled with: PREVIT_TYPE, float or Bf16, and PREVIT_WIDTH.
std::vector<std::string> gpu_defines(at::ScalarType type, int64_t width);

/// The programs of one source, by device, type and width of rows.
class GpuPrograms {
 public:
  struct Source {
    const char* name;  ///< in the log
    const char* text;
    std::vector<std::string> (*defines)(at::ScalarType type, int64_t width);
    GpuTrial (*trial)(at::Device device, at::ScalarType type, int64_t width);
  };
  explicit GpuPrograms(const Source& source) : source_(source) {}

  /// What has passed its trial, which takes place when it is first asked for. Null where LibTorch's
  /// operators shall compute: off GPUs, in other types than float32 and bfloat16, and where
  /// gpu_kernels_allowed() says no.
  const GpuProgram* find(at::Device device, at::ScalarType type, int64_t width);

 private:
  Source source_;
  std::mutex mutex_;
  std::map<std::tuple<int, at::ScalarType, int64_t>, std::unique_ptr<GpuProgram>> programs_;
};

}  // namespace previt
