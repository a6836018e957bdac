#include <torch/types.h>

#include <limits>

#include "models/layers/batch_norm.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("rows that are not finite, or only one, leave BatchNorm's averages finite") {
  BatchNorm norm(3);
  norm.train();
  torch::manual_seed(1);
  const at::Tensor good = torch::randn({8, 3}).requires_grad_();
  norm.forward(good).square().sum().backward();
  CHECK(good.grad().isfinite().all().item<bool>());
  const auto buffers = norm.named_buffers();
  const at::Tensor mean = buffers["running_mean"].clone();
  CHECK(torch::allclose(mean, 0.1 * good.detach().mean(0), 1e-4, 1e-6));

  at::Tensor bad = torch::randn({8, 3});
  bad[2][1] = std::numeric_limits<float>::infinity();
  norm.forward(bad);
  norm.forward(torch::randn({1, 3}));
  for (const auto& buffer : norm.buffers()) CHECK(buffer.isfinite().all().item<bool>());
  CHECK(buffers["running_mean"][1].item<float>() != mean[1].item<float>());  // of the single row
}
