#include <torch/csrc/autograd/autograd.h>

#include "models/kernels/precision.h"
#include "models/layers/block.h"
#include "models/layers/drop_path.h"
#include "models/layers/mlp.h"
#include "support/catch.h"

using namespace previt;

namespace {

std::shared_ptr<Block> random_block(const BlockOptions& options) {
  torch::manual_seed(2);
  auto block = std::make_shared<Block>(options);
  torch::NoGradGuard no_grad;
  for (auto& parameter : block->parameters()) parameter.normal_(0, 0.4);
  return block;
}

BlockOptions small() { return {.dim = 12, .heads = 3, .layer_scale = 0.1}; }

}  // namespace

TEST_CASE("a block run for some tokens gives their rows, with the same gradients") {
  BlockOptions options = small();
  options.qkv_bias = GENERATE(QkvBias::full, QkvBias::qv, QkvBias::none);
  options.attention_dim = GENERATE(0, 30, 6);  // of heads as wide as the block, wider, narrower
  options.mlp = GENERATE(MlpKind::gelu, MlpKind::swiglu);
  const auto block = random_block(options);
  const at::Tensor bias = GENERATE(true, false) ? torch::randn({3, 9, 9}) : at::Tensor();
  const auto [first, end] = GENERATE(std::pair{4, 9}, std::pair{0, 1}, std::pair{2, 5});
  const at::Tensor x = torch::randn({2, 9, 12}).requires_grad_();
  const at::Tensor gain = torch::randn({2, end - first, 12});
  const auto gradients = [&](const at::Tensor& out) {
    std::vector<at::Tensor> inputs = block->parameters();
    inputs.push_back(x);
    return torch::autograd::grad({(out * gain).sum()}, inputs);
  };
  const at::Tensor whole = block->forward(x, bias).slice(1, first, end);
  const at::Tensor some = block->forward(x, bias, first, end);
  CHECK(torch::allclose(some, whole, 1e-5, 1e-5));
  const auto want = gradients(whole), got = gradients(some);
  for (size_t i = 0; i < want.size(); ++i) CHECK(torch::allclose(got[i], want[i], 1e-4, 1e-4));
}

TEST_CASE("a block is x + attention, then + MLP, each scaled") {
  const auto block = random_block(small());
  const at::Tensor x = torch::randn({2, 5, 12});
  torch::NoGradGuard no_grad;
  for (const auto& name : {"ls1.gamma", "ls2.gamma"}) block->named_parameters()[name].zero_();
  CHECK(torch::equal(block->forward(x), x));
}

TEST_CASE("drop path drops whole samples and keeps the mean") {
  torch::manual_seed(3);
  const at::Tensor factors = drop_path_factors(20000, 0.3, torch::kCPU);
  REQUIRE(factors.sizes() == torch::IntArrayRef({20000, 1, 1}));
  const at::Tensor dropped = factors == 0;
  CHECK(dropped.to(torch::kDouble).mean().item<double>() == Approx(0.3).margin(0.02));
  CHECK(torch::allclose(factors.index({~dropped}), torch::full({1}, 1 / 0.7)));
  CHECK(drop_path_factors(4, 1, torch::kCPU).abs().max().item<double>() == 0);
}

TEST_CASE("drop path acts in training only, on both branches by themselves") {
  BlockOptions options = small();
  options.layer_scale = GENERATE(0.1, 0.0);
  options.drop_path = 0.5;
  const auto block = random_block(options);
  const at::Tensor x = torch::randn({1, 4, 12}).expand({400, -1, -1}).contiguous();
  block->eval();
  const at::Tensor plain = block->forward(x);
  CHECK(torch::equal(plain, block->forward(x)));
  block->train();
  const at::Tensor out = block->forward(x);
  const at::Tensor unchanged = (out - x).abs().amax({1, 2}) < 1e-6;  // both branches dropped
  CHECK(unchanged.to(torch::kDouble).mean().item<double>() == Approx(0.25).margin(0.08));
}

TEST_CASE("a block skips the images that drop path drops, with the same result and gradients") {
  BlockOptions options = small();
  options.layer_scale = GENERATE(0.0, 0.5);
  options.attention_dim = GENERATE(0, 30);
  options.drop_path = 0.4;
  const auto block = random_block(options);
  block->train();
  const auto type = GENERATE(torch::kFloat, torch::kBFloat16);
  const ComputeTypeGuard guard(type);
  const int64_t end = GENERATE(7, 1);
  const at::Tensor x = torch::randn({9, 7, 12}).requires_grad_();
  const at::Tensor gain = torch::randn({9, end, 12});
  const auto run = [&] {
    torch::manual_seed(5);
    const at::Tensor out = block->forward(x, {}, 0, end);
    std::vector<at::Tensor> inputs = block->parameters();
    inputs.push_back(x);
    std::vector<at::Tensor> results = torch::autograd::grad({(out * gain).sum()}, inputs);
    results.push_back(out);
    return results;
  };
  torch::manual_seed(5);
  REQUIRE(draw_drop_path(x, options.drop_path).kept.numel() < x.size(0));
  const auto got = run();
  const PlainKernelsGuard plain;
  const auto want = run();
  const double tolerance = type == torch::kFloat ? 1e-5 : 3e-2;
  for (size_t i = 0; i < want.size(); ++i) {
    CHECK((got[i] - want[i]).norm().item<double>() <=
          tolerance * (want[i].norm().item<double>() + 1e-3));
  }
}

TEST_CASE("drop path rates over the depth") {
  CHECK(drop_path_rates(0.3, DropPathMode::uniform, 3) == std::vector<double>{0.3, 0.3, 0.3});
  const auto linear = drop_path_rates(0.3, DropPathMode::linear, 4);
  CHECK(linear.front() == 0);
  CHECK(linear[1] == Approx(0.1));
  CHECK(linear.back() == Approx(0.3));
  CHECK(drop_path_rates(0.3, DropPathMode::linear, 1) == std::vector<double>{0});
}

TEST_CASE("hidden widths of DINOv2's SwiGLU") {
  CHECK(mlp_hidden_width(MlpKind::gelu, 768, 4) == 3072);
  CHECK(mlp_hidden_width(MlpKind::swiglu, 1024, 4) == 2736);
  CHECK(mlp_hidden_width(MlpKind::swiglu, 1536, 4) == 4096);
}
