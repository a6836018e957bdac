#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace previt {

/// A part of a network: x and a bias, which may be undefined, to its output.
using Computation = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& bias)>;

/// compute(x, bias) without what it would keep for backward (Chen et al. 2016, arXiv:1604.06174):
/// the graph keeps x and bias, and backward computes the part once more. The gradients of x, bias
/// and `parameters` equal those of compute(x, bias) bit for bit, as both passes run with gradients
/// on, in the compute_type() of the first and from its state of the device's default generator.
///
/// `parameters`: all that compute reads and that may be trained. What else it holds must live until
/// backward. Without anything to train, or with gradients off, this is compute(x, bias). The result
/// can't be differentiated twice.
at::Tensor checkpointed(const Computation& compute,
                        const at::Tensor& x,
                        const at::Tensor& bias,
                        const std::vector<at::Tensor>& parameters);

}  // namespace previt
