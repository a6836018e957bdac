#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "gpu_launch.h"
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

/// What has passed its trial, by device and by what Key says.
template <class Key>
class GpuPrograms {
 public:
  /// What try_on(device) gave when it was first asked for: a program, or null where LibTorch's
  /// operators shall compute, as they do where gpu_kernels_allowed() says no. try_on gets the GPU
  /// with its number, and doesn't throw.
  template <class Try>
  const GpuProgram* find(at::Device device, const Key& key, const Try& try_on) {
    if (!gpu_kernels_allowed()) return nullptr;
    device = numbered(device);
    const std::lock_guard lock(mutex_);
    const auto [place, is_new] = programs_.try_emplace({device.index(), key});
    if (is_new) place->second = try_on(device);
    return place->second.get();
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<int, Key>, std::unique_ptr<GpuProgram>> programs_;
};

/// The programs of a source that works on rows, by their type and width.
class RowPrograms {
 public:
  struct Source {
    const char* name;  ///< in the log
    const char* text;
    std::vector<std::string> (*defines)(at::ScalarType type, int64_t width);
    GpuTrial (*trial)(at::Device device, at::ScalarType type, int64_t width);
  };
  explicit RowPrograms(const Source& source) : source_(source) {}

  /// Null off GPUs too, and in other types than float32 and bfloat16.
  const GpuProgram* find(at::Device device, at::ScalarType type, int64_t width);

 private:
  Source source_;
  GpuPrograms<std::pair<at::ScalarType, int64_t>> programs_;
};

}  // namespace previt
