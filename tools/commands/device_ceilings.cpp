#include "commands/device_ceilings.h"

#include <torch/cuda.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "clocks.h"

namespace previt::cli {
namespace {

// Seconds of the fastest of a few times. On a GPU each is several in a row, so that launching and
// waiting don't count.
double best_seconds(at::Device device, const std::function<void()>& work) {
  const int times = 3, in_a_row = device.is_cuda() ? 10 : 1;
  double best = 0;
  for (int i = 0; i <= times; ++i) {  // the first is not counted
    const auto begin = std::chrono::steady_clock::now();
    for (int k = 0; k < in_a_row; ++k) work();
    if (device.is_cuda()) torch::cuda::synchronize(device.index());
    const double spent = seconds_since(begin);
    if (i == 1 || (i > 1 && spent < best)) best = spent;
  }
  return best / in_a_row;
}

}  // namespace

Ceilings measure_ceilings(at::Device device, at::ScalarType type) {
  const torch::NoGradGuard no_grad;
  const int64_t side = device.is_cuda() ? 8192 : 1024;
  const int64_t bytes = device.is_cuda() ? int64_t{1} << 30 : int64_t{1} << 26;
  const auto matrix = [&] { return torch::randn({side, side}, device).to(type); };
  const at::Tensor a = matrix(), b = matrix();
  at::Tensor product = torch::empty_like(a);
  const double product_seconds = best_seconds(device, [&] { torch::mm_out(product, a, b); });
  const at::Tensor from = torch::zeros({bytes}, torch::dtype(torch::kUInt8).device(device));
  const at::Tensor to = torch::empty_like(from);
  const double copy_seconds = best_seconds(device, [&] { to.copy_(from); });
  const auto n = static_cast<double>(side);
  return {.flops = 2 * n * n * n / product_seconds,
          .bytes = 2 * static_cast<double>(bytes) / copy_seconds};
}

}  // namespace previt::cli
