#include <torch/autograd.h>

#include <cmath>
#include <functional>
#include <memory>

#include "models/kernels/gemm.h"
#include "models/kernels/kernels.h"
#include "models/kernels/precision.h"
#include "models/kernels/products.h"
#include "models/kernels/weights.h"
#include "support/catch.h"

using namespace previt;

namespace {

using Operation = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// Output and gradients of all inputs for one fixed gradient of the output.
std::vector<at::Tensor> results(const Operation& operation,
                                const std::vector<at::Tensor>& inputs,
                                at::ScalarType type,
                                bool plain) {
  const ComputeTypeGuard guard(type);
  const std::unique_ptr<PlainKernelsGuard> plainly =
      plain ? std::make_unique<PlainKernelsGuard>() : nullptr;
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& x : inputs) leaves.push_back(x.detach().clone().requires_grad_());
  const at::Tensor out = operation(leaves);
  torch::manual_seed(5);
  const at::Tensor gradient = torch::randn(out.sizes());
  out.backward(gradient.to(out.scalar_type()));
  std::vector<at::Tensor> all{out.detach()};
  for (const at::Tensor& leaf : leaves) all.push_back(leaf.grad());
  return all;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(torch::kDouble) - b.to(torch::kDouble)).norm() / b.to(torch::kDouble).norm())
      .item<double>();
}

// Ours in float32 and bfloat16, and LibTorch's operators in bfloat16, against LibTorch's in
// float32.
void check(const Operation& operation, const std::vector<at::Tensor>& inputs) {
  const auto expected = results(operation, inputs, torch::kFloat, true);
  const auto same = results(operation, inputs, torch::kFloat, false);
  const auto half = results(operation, inputs, torch::kBFloat16, false);
  const auto plain_half = results(operation, inputs, torch::kBFloat16, true);
  CHECK(half[0].scalar_type() == torch::kBFloat16);
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("result " << i);
    CHECK(distance(same[i], expected[i]) < 1e-6);
    CHECK(distance(half[i], expected[i]) < 1e-2);
    CHECK(distance(plain_half[i], expected[i]) < 1e-2);
    CHECK(half[i].sizes() == expected[i].sizes());
  }
}

}  // namespace

TEST_CASE("linear and linear_gelu equal the plain formulas with gradients") {
  torch::manual_seed(0);
  for (const auto& [rows, in, out] :
       {std::tuple{1, 3, 5}, {7, 13, 21}, {33, 96, 100}, {20, 64, 128}}) {
    const at::Tensor x = torch::randn({2, rows, in}),
                     weight = torch::randn({out, in}) / std::sqrt(in);
    const at::Tensor bias = torch::randn({out});
    INFO(rows << " x " << in << " x " << out);
    check([](const auto& t) { return previt::linear(t[0], t[1], t[2]); }, {x, weight, bias});
    check([](const auto& t) { return previt::linear(t[0], t[1]); }, {x, weight});
    check([](const auto& t) { return previt::linear_gelu(t[0], t[1], t[2]); }, {x, weight, bias});
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
    check([](const auto& t) { return previt::layer_norm(t[0], t[1], t[2], 1e-6); },
          {torch::randn({3, 7, width}) * 3 + 2, torch::randn({width}), torch::randn({width})});
  }
}

TEST_CASE("attention equals the plain formula with gradients") {
  torch::manual_seed(2);
  struct Shape {
    int64_t batch, tokens, heads, width;
  };
  for (const auto& [batch, tokens, heads, width] : {Shape{2, 1, 1, 8},
                                                    {3, 17, 3, 64},
                                                    {2, 50, 2, 24},
                                                    {1, 65, 4, 40},
                                                    {2, 11, 2, 7},
                                                    {2, 197, 2, 32}}) {
    const at::Tensor qkv = torch::randn({batch, tokens, 3 * heads * width});
    INFO(tokens << " tokens, " << heads << " heads of " << width);
    const auto self = [heads = heads](const auto& t) {
      return self_attention(t[0], heads, t.size() > 1 ? t[1] : at::Tensor());
    };
    if (tokens > 1) {  // one token: the weights are 1 and most gradients vanish
      check(self, {qkv});
      check(self, {qkv, torch::randn({heads, tokens, tokens})});
      check(self, {qkv, torch::randn({1, heads, 1, tokens})});
      check(self, {qkv, torch::randn({batch, 1, tokens, tokens})});
    }
    check([heads = heads](const auto& t) { return cross_attention(t[0], t[1], heads); },
          {torch::randn({batch, 3, heads * width}),
           torch::randn({batch, tokens + 1, 2 * heads * width})});
  }
}

TEST_CASE("attention leaves out what a bias of -inf masks") {
  torch::manual_seed(3);
  const at::Tensor qkv = torch::randn({2, 9, 3 * 2 * 16});
  at::Tensor bias = torch::zeros({1, 1, 9, 9});
  bias.slice(-1, 5).fill_(-INFINITY);
  const ComputeTypeGuard guard(torch::kBFloat16);
  const at::Tensor masked = self_attention(qkv, 2, bias).slice(1, 0, 5);
  CHECK(torch::equal(masked, self_attention(qkv.slice(1, 0, 5), 2)));
}

TEST_CASE("small products agree on all levels of this machine") {
  torch::manual_seed(4);
  for (const auto& [m, n, k] : {std::tuple{16, 16, 32},
                                {32, 48, 64},
                                {48, 224, 32},
                                {64, 32, 224},
                                {8, 16, 2},
                                {40, 112, 38}}) {
    const at::Tensor a = torch::randn({m, k}).to(torch::kBFloat16);
    const at::Tensor b = torch::randn({k, n}).to(torch::kBFloat16);
    const at::Tensor pairs = b.view({k / 2, 2, n}).transpose(1, 2).contiguous();
    const at::Tensor expected = a.to(torch::kFloat).matmul(b.to(torch::kFloat));
    for (int level = 0; level <= static_cast<int>(best_gemm_level()); ++level) {
      const GemmSteps steps = gemm_steps(static_cast<GemmLevel>(level));
      if (m % steps.rows != 0 || k % steps.inner != 0) continue;
      const at::Tensor c = torch::full({m, n}, NAN);
      const GemmScope scope(static_cast<GemmLevel>(level));
      small_gemm(static_cast<GemmLevel>(level))(static_cast<const simd::Bf16*>(a.data_ptr()),
                                                k,
                                                static_cast<const uint32_t*>(pairs.data_ptr()),
                                                n,
                                                c.data_ptr<float>(),
                                                n,
                                                m,
                                                n,
                                                k);
      INFO("level " << level << ", " << m << " x " << n << " x " << k);
      CHECK(distance(c, expected) < 1e-6);
    }
  }
}

TEST_CASE("weight copies follow the weight") {
  at::Tensor weight = torch::randn({4, 6}).requires_grad_();
  const at::Tensor copy = weight_as(weight, torch::kBFloat16);
  CHECK(weight_as(weight, torch::kBFloat16).is_same(copy));
  {
    torch::NoGradGuard no_grad;
    weight.mul_(2);
  }
  const at::Tensor fresh = weight_as(weight, torch::kBFloat16);
  CHECK_FALSE(fresh.is_same(copy));
  CHECK(torch::equal(fresh, weight.detach().to(torch::kBFloat16)));
  weight.set_data(torch::ones({4, 6}));
  CHECK(torch::equal(weight_as(weight, torch::kBFloat16), torch::ones({4, 6}, torch::kBFloat16)));
}

TEST_CASE("a weight copy is overwritten only where nobody else holds it") {
  at::Tensor weight = torch::randn({4, 6}).requires_grad_();
  const auto scale = [&weight](double factor) {
    torch::NoGradGuard no_grad;
    weight.mul_(factor);
  };
  const void* place = weight_as(weight, torch::kBFloat16).data_ptr();
  scale(2);
  CHECK(weight_as(weight, torch::kBFloat16).data_ptr() == place);
  CHECK(torch::equal(weight_as(weight, torch::kBFloat16), weight.detach().to(torch::kBFloat16)));

  const at::Tensor before = weight.detach().to(torch::kBFloat16);
  const at::Tensor alias = weight_as(weight, torch::kBFloat16).alias();  // what plain graphs hold
  scale(2);
  CHECK(torch::equal(weight_as(weight, torch::kBFloat16), weight.detach().to(torch::kBFloat16)));
  CHECK(torch::equal(alias, before));
}

TEST_CASE("a product is the same with and without room behind its rows") {
  torch::manual_seed(8);
  const at::Tensor b = torch::randn({48, 40}).to(torch::kBFloat16), bias = torch::randn({48});
  for (const int64_t rows : {7, 512, 601, 640}) {
    INFO(rows << " rows");
    const at::Tensor plain = torch::randn({rows, 40}).to(torch::kBFloat16);
    at::Tensor roomy = empty_rows({rows, 40}, plain.options());
    roomy.copy_(plain);
    for (const at::Tensor& given : {at::Tensor(), bias}) {
      at::Tensor want = plain.to(torch::kDouble).matmul(b.to(torch::kDouble).t());
      if (given.defined()) want = want + given;
      for (const at::Tensor& a : {plain, roomy}) {
        const at::Tensor got = product_with_transposed(a, b, given).to(torch::kDouble);
        REQUIRE(got.sizes() == want.sizes());
        CHECK((got - want).norm().item<double>() < 4e-3 * want.norm().item<double>());
      }
    }
  }
}

TEST_CASE("a sum over rows is the same on any number of threads") {
  torch::manual_seed(4);
  const auto type = GENERATE(torch::kFloat, torch::kBFloat16);
  const int64_t rows = GENERATE(1, 700, 1537, 2049);
  const at::Tensor a = torch::randn({rows, 24}).to(type), b = torch::randn({rows, 35}).to(type);
  const int before = torch::get_num_threads();
  torch::set_num_threads(GENERATE(1, 2, 3, 5));
  const at::Tensor got = product_over_rows(a, b);
  torch::set_num_threads(before);
  CHECK(got.scalar_type() == torch::kFloat);
  const at::Tensor want = a.to(torch::kDouble).t().mm(b.to(torch::kDouble));
  CHECK(distance(got, want) < (type == torch::kFloat ? 1e-6 : 3e-3));
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
