#pragma once

#include <c10/core/Device.h>

#include <string>

namespace previt::cli {

/// What decides over `auto`.
struct GpuFacts {
  int devices = 0;            ///< that LibTorch sees
  bool built_for_it = false;  ///< LibTorch has CUDA
  bool driver = false;        ///< that of a GPU is loaded
};

/// Which device auto takes and why, in a line; "" where there is no GPU that it could be about.
std::string why_automatic(const GpuFacts& facts);

/// The device named on the command line: cpu, cuda, cuda:N, or auto (cuda where there is one, else
/// cpu; said once in the log). It becomes the thread's current one, and all processes of the run
/// tell each other theirs (Communicator::use_device). Memory of batches is pinned for it (upload.h),
/// and readers of images leave it cores (cores.h). Throws UsageError where the name is none of
/// these, the device is not there, or another process has it.
at::Device choose_device(const std::string& name);

}  // namespace previt::cli
