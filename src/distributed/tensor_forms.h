#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace previt {

/// How a tensor is added up on a device: there, contiguous, and in a type that gloo and NCCL know.
/// A tensor that is already so is given back itself. bfloat16 and float16 become float32, so that a
/// sum is rounded once; bool becomes int32.
at::Tensor as_added(const at::Tensor& tensor, at::Device device);

/// The bytes of a tensor of any type, on a device, (bytes); shared with it where that is possible.
at::Tensor as_bytes(const at::Tensor& tensor, at::Device device);

// For gathering tensors that differ in their first dimension, the rows.

/// Type and sizes of a tensor of 1 to 8 dimensions, int64 on the CPU, of one length for all. Throws
/// Error.
at::Tensor form_of(const at::Tensor& tensor);

/// The rows that each rank has, from the forms of all. Throws Error, as rank `rank`, where a form
/// differs in more.
std::vector<int64_t> rows_of(const std::vector<at::Tensor>& forms, int64_t rank);

/// The bytes of a tensor on a device, followed by zeros up to those of the rank with most rows.
at::Tensor padded_bytes(const at::Tensor& tensor,
                        const std::vector<int64_t>& rows,
                        at::Device device);

/// The rows of all ranks one after the other, on the device of the padded bytes of each; `like`: the
/// own tensor. No bytes: no rank has rows.
at::Tensor put_together(const std::vector<at::Tensor>& parts,
                        const std::vector<int64_t>& rows,
                        const at::Tensor& like);

}  // namespace previt
