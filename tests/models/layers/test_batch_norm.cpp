#include <torch/types.h>

#include <limits>

#include "models/layers/batch_norm.h"
#include "support/catch.h"
#include "support/thread_ranks.h"

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

TEST_CASE("BatchNorm over the ranks' rows is that of all rows at once, gradients too") {
  torch::manual_seed(2);
  const int64_t dim = 3, cut = GENERATE(1, 4);  // a single row has no variance of its own
  const at::Tensor x = 1 + torch::randn({9, dim}), weights = torch::randn({9, dim});
  const auto loss = [](const at::Tensor& y, const at::Tensor& w) { return (y.square() * w).sum(); };
  const auto make = [&] {
    auto norm = std::make_shared<BatchNorm>(dim);
    const torch::NoGradGuard no_grad;
    norm->named_parameters()["weight"].copy_(torch::tensor({0.5, 1.0, -2.0}));
    norm->named_parameters()["bias"].copy_(torch::tensor({1.0, 0.0, 0.3}));
    return norm;
  };
  const auto whole = make();
  const at::Tensor all_rows = x.clone().requires_grad_();
  const at::Tensor want = whole->forward(all_rows);
  loss(want, weights).backward();

  const std::vector<std::shared_ptr<BatchNorm>> norms = {make(), make()};
  std::vector<at::Tensor> rows = {x.slice(0, 0, cut).clone(), x.slice(0, cut).clone()}, got(2);
  const std::vector<at::Tensor> own_weights = {weights.slice(0, 0, cut), weights.slice(0, cut)};
  test::ThreadRanks(2).run([&](Communicator& all) {
    const auto rank = static_cast<size_t>(all.rank());
    rows[rank].requires_grad_();
    got[rank] = norms[rank]->forward(rows[rank], all);
    loss(got[rank], own_weights[rank]).backward();
  });
  const auto close = [](const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).abs().max() / b.abs().max()).item<double>() < 2e-6;
  };
  CHECK(close(torch::cat(got), want));
  CHECK(((torch::cat({rows[0].grad(), rows[1].grad()}) - all_rows.grad()).abs().max() /
         all_rows.grad().abs().max())
            .item<double>() < 3e-6);
  for (const auto& parameter : whole->named_parameters()) {
    const std::string& name = parameter.key();
    CHECK(
        close(norms[0]->named_parameters()[name].grad() + norms[1]->named_parameters()[name].grad(),
              parameter.value().grad()));
  }
  for (const auto& buffer : whole->named_buffers()) {
    CHECK(close(norms[0]->named_buffers()[buffer.key()].to(torch::kFloat32),
                buffer.value().to(torch::kFloat32)));
    CHECK(torch::equal(norms[0]->named_buffers()[buffer.key()],
                       norms[1]->named_buffers()[buffer.key()]));
  }
}

TEST_CASE("rows of the ranks that are not finite leave the averages finite") {
  std::vector<std::shared_ptr<BatchNorm>> norms = {std::make_shared<BatchNorm>(2),
                                                   std::make_shared<BatchNorm>(2)};
  test::ThreadRanks(2).run([&](Communicator& all) {
    const at::Tensor rows = torch::full({1, 2}, std::numeric_limits<float>::quiet_NaN());
    norms[static_cast<size_t>(all.rank())]->forward(rows, all);
  });
  for (const auto& norm : norms) {
    for (const auto& buffer : norm->buffers()) CHECK(buffer.isfinite().all().item<bool>());
  }
}
