#pragma once

#include <ATen/core/Tensor.h>

#include "gpu_program.h"

namespace previt {

/// The device with its number: one without (cuda) is the thread's current device of its kind.
at::Device numbered(at::Device device);

/// The cudaStream_t that LibTorch queues work in, on a CUDA device. Throws Error without LibTorch's
/// library for it.
void* gpu_stream(at::Device device);

/// As kernels read it: contiguous, from a multiple of 16 bytes on. May be undefined.
at::Tensor readable(const at::Tensor& t);

/// What a kernel gets for an argument of a launch: a tensor's numbers, null for an undefined one.
inline void* kernel_argument(const at::Tensor& t) { return t.defined() ? t.data_ptr() : nullptr; }
inline float kernel_argument(float x) { return x; }
inline long long kernel_argument(int64_t x) { return x; }

/// Queues a kernel of a device, which is the current one, for so many warps or some more, which
/// begin at a warp_of_grid() of 0.
template <class... A>
void launch(const GpuProgram& program,
            const char* kernel,
            int64_t warps,
            at::Device device,
            const A&... arguments) {
  program.launch(
      kernel, GpuProgram::blocks_of(warps), gpu_stream(device), kernel_argument(arguments)...);
}

}  // namespace previt
