#pragma once

#include "models/kernels/kernels.h"

namespace previt {

class GpuProgram;

/// What computes x + branch and its norm in `type` on x's device (norm.cu), or null: LibTorch's
/// operators shall, as for what is not on a GPU. branch: undefined, or of x's shape and of `type`.
const GpuProgram* gpu_norm_program(const at::Tensor& x,
                                   const at::Tensor& branch,
                                   at::ScalarType type);

/// add_fork_layer_norm, or fork_layer_norm if branch is undefined, by such a program. weight and
/// bias are float32.
Forked gpu_add_norm(const GpuProgram& program,
                    const at::Tensor& x,
                    const at::Tensor& branch,
                    const at::Tensor& weight,
                    const at::Tensor& bias,
                    double eps,
                    at::ScalarType type);

/// How many warps share out the rows in the backward pass, each with sums of its own: by their
/// number alone, so that equal inputs give equal sums.
int64_t gpu_norm_warps(int64_t rows);

extern const char* const kGpuNormSource;  ///< norm.cu

}  // namespace previt
