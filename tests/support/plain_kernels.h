#pragma once

#include <torch/autograd.h>
#include <torch/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "models/kernels/precision.h"
#include "support/catch.h"
#include "support/test_device.h"

namespace previt {

using Operation = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

/// The output and the gradients of all inputs, for one fixed gradient of the output. plain: by
/// LibTorch's operators instead of our kernels. Made on `device`, and brought back.
inline std::vector<at::Tensor> results(const Operation& operation,
                                       const std::vector<at::Tensor>& inputs,
                                       at::ScalarType type,
                                       bool plain,
                                       at::Device device) {
  const ComputeTypeGuard guard(type);
  const std::unique_ptr<PlainKernelsGuard> plainly =
      plain ? std::make_unique<PlainKernelsGuard>() : nullptr;
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& x : inputs) {
    leaves.push_back(x.detach().clone().to(device).requires_grad_());
  }
  const at::Tensor out = operation(leaves);
  torch::manual_seed(5);
  const at::Tensor gradient = torch::randn(out.sizes());
  out.backward(gradient.to(out.device(), out.scalar_type()));
  std::vector<at::Tensor> all{out.detach().cpu()};
  for (const at::Tensor& leaf : leaves) all.push_back(leaf.grad().cpu());
  return all;
}

/// The norm of a - b, relative to that of b.
inline double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(torch::kDouble) - b.to(torch::kDouble)).norm() / b.to(torch::kDouble).norm())
      .item<double>();
}

/// Checks our kernels in float32 and bfloat16, and LibTorch's operators in bfloat16, all of them on
/// test_device(), against LibTorch's operators in float32 on the CPU: the output and all gradients.
inline void check_against_plain(const Operation& operation, const std::vector<at::Tensor>& inputs) {
  const at::Device device = test::test_device();
  const double rounding = device.is_cuda() ? 1e-5 : 1e-6;  // a GPU adds up in another order
  const auto expected = results(operation, inputs, torch::kFloat, true, torch::kCPU);
  const auto same = results(operation, inputs, torch::kFloat, false, device);
  const auto half = results(operation, inputs, torch::kBFloat16, false, device);
  const auto plain_half = results(operation, inputs, torch::kBFloat16, true, device);
  CHECK(half[0].scalar_type() == torch::kBFloat16);
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("result " << i);
    CHECK(distance(same[i], expected[i]) < rounding);
    CHECK(distance(half[i], expected[i]) < 1e-2);
    CHECK(distance(plain_half[i], expected[i]) < 1e-2);
    CHECK(half[i].sizes() == expected[i].sizes());
  }
}

}  // namespace previt
