#include <cmath>

#include "models/kernels/kernels.h"
#include "support/plain_kernels.h"

using namespace previt;

TEST_CASE("linear and linear_gelu equal the plain formulas with gradients") {
  torch::manual_seed(0);
  for (const auto& [rows, in, out] :
       {std::tuple{1, 3, 5}, {7, 13, 21}, {33, 96, 100}, {20, 64, 128}}) {
    const at::Tensor x = torch::randn({2, rows, in}),
                     weight = torch::randn({out, in}) / std::sqrt(in);
    const at::Tensor bias = torch::randn({out});
    INFO(rows << " x " << in << " x " << out);
    check_against_plain([](const auto& t) { return previt::linear(t[0], t[1], t[2]); },
                        {x, weight, bias});
    check_against_plain([](const auto& t) { return previt::linear(t[0], t[1]); }, {x, weight});
    check_against_plain([](const auto& t) { return previt::linear_gelu(t[0], t[1], t[2]); },
                        {x, weight, bias});
  }
}

TEST_CASE("gelu of large and special values") {
  const at::Tensor x = torch::tensor({-100.f, -8.f, -1e-3f, 0.f, 1e-3f, 8.f, 100.f}).view({7, 1});
  const at::Tensor one = torch::ones({1, 1}), zero = torch::zeros({1});
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    const ComputeTypeGuard guard(type);
    const at::Tensor y = linear_gelu(x, one, zero).to(torch::kFloat);
    CHECK(torch::allclose(y, torch::gelu(x.to(type).to(torch::kFloat)), 4e-3, 1e-6));
    CHECK(linear_gelu(x * NAN, one, zero).isnan().all().item<bool>());
  }
}

TEST_CASE("a residual keeps its type and both gradients") {
  torch::manual_seed(6);
  const at::Tensor x = torch::randn({3, 5, 7}).requires_grad_();
  const at::Tensor branch = torch::randn({3, 5, 7}).to(torch::kBFloat16).requires_grad_();
  const at::Tensor y = add_residual(x, branch);
  CHECK(y.equal(x + branch.to(torch::kFloat)));
  const at::Tensor gradient = torch::randn({3, 5, 7});
  y.backward(gradient);
  CHECK(x.grad().equal(gradient));
  CHECK(branch.grad().equal(gradient.to(torch::kBFloat16)));
}

TEST_CASE("layer_norm keeps its statistics in float32") {
  torch::manual_seed(1);
  for (const int64_t width : {5, 64, 100}) {
    check_against_plain(
        [](const auto& t) { return previt::layer_norm(t[0], t[1], t[2], 1e-6); },
        {torch::randn({3, 7, width}) * 3 + 2, torch::randn({width}), torch::randn({width})});
  }
}

TEST_CASE("gelu without gradients is the same as with them") {
  torch::manual_seed(9);
  const at::Tensor x = torch::randn({33, 20}).requires_grad_(), weight = torch::randn({70, 20});
  const at::Tensor bias = torch::randn({70});
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    const ComputeTypeGuard guard(type);
    const at::Tensor with = linear_gelu(x, weight, bias);
    const torch::NoGradGuard no_grad;
    CHECK(torch::equal(linear_gelu(x, weight, bias), with));
  }
}

TEST_CASE("the stream that leaves a LayerNorm carries its own gradient too") {
  torch::manual_seed(10);
  const at::Tensor weight = torch::randn({20}), bias = torch::randn({20});
  const at::Tensor x = torch::randn({6, 5, 20}).requires_grad_();
  const at::Tensor of_stream = torch::randn({6, 5, 20});
  for (const at::Tensor& kept : {at::Tensor(), torch::tensor({1, 2, 5}), torch::tensor({0, 3})}) {
    const auto gradient = [&](bool stream, bool normed) {
      const Forked forked = fork_layer_norm(x, weight, bias, 1e-6, kept);
      at::Tensor sum = torch::zeros({});
      if (stream) sum = sum + (forked.x * of_stream).sum();
      if (normed) sum = sum + forked.normed.pow(3).sum();
      return torch::autograd::grad({sum}, {x})[0];
    };
    CHECK(torch::equal(gradient(true, false), of_stream));
    const at::Tensor both = gradient(true, true), apart = gradient(false, true) + of_stream;
    CHECK(torch::allclose(both, apart, 1e-5, 1e-5));
    const PlainKernelsGuard plain;
    CHECK(torch::allclose(both, gradient(true, true), 1e-4, 1e-4));
  }
}
