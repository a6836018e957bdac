#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <thread>

#include "memory.h"
#include "models/kernels/precision.h"
#include "models/layers/block.h"
#include "support/catch.h"
#include "support/same_tensors.h"
#include "support/tiny_vit.h"

using namespace previt;

namespace {

VitOptions with_everything_random() {
  VitOptions o = tiny_vit();
  o.depth = 3;
  o.drop_path = 0.4;
  o.layer_scale = 0.1;
  return o;
}

// Gradients of the parameters and, under "", what torch's generator gives next.
NamedTensors gradients(Vit& vit, const std::function<at::Tensor(Vit&)>& loss) {
  torch::manual_seed(5);
  vit.zero_grad();
  loss(vit).backward();
  NamedTensors named{{"", torch::rand({3})}};
  for (const auto& item : vit.named_parameters()) {
    if (item.value().grad().defined()) named[item.key()] = item.value().grad().clone();
  }
  return named;
}

void check_same_gradients(const VitOptions& options, const std::function<at::Tensor(Vit&)>& loss) {
  const auto vit = random_vit(options);
  vit->train();
  const NamedTensors plain = gradients(*vit, loss);
  checkpoint_blocks(*vit, -1);
  check_same_tensors(gradients(*vit, loss), plain);
}

bool is_checkpointed(Vit& vit, size_t block) {
  const at::Tensor out = vit.blocks()[block]->forward(torch::randn({1, 17, 16}));
  return out.grad_fn()->name().find("Checkpointed") != std::string::npos;
}

}  // namespace

TEST_CASE("checkpointed blocks give the same bits") {
  VitOptions o = with_everything_random();
  o.rel_pos_bias =
      GENERATE(RelPosBias::none, RelPosBias::shared, RelPosBias::per_block, RelPosBias::both);
  o.qkv_bias = o.rel_pos_bias == RelPosBias::shared ? QkvBias::qv : QkvBias::full;
  o.mlp = o.rel_pos_bias == RelPosBias::both ? MlpKind::swiglu : MlpKind::gelu;
  const ComputeTypeGuard type(GENERATE(at::kFloat, at::kBFloat16));
  const at::Tensor images = torch::randn({4, 3, 16, 16});
  const auto part = GENERATE(0, 1, 2);
  check_same_gradients(o, [&](Vit& vit) {
    if (part == 0) return vit.forward_features(images).to(at::kFloat).square().mean();
    if (part == 1) return vit.pooled(images).to(at::kFloat).square().mean();
    const at::Tensor rows = torch::tensor({0, 3, 17, 40, 66});
    return vit.run_blocks_rows(vit.embed(images), 4, 4, rows).square().mean();
  });
}

TEST_CASE("crops of two sizes through checkpointed blocks give the same bits") {
  const at::Tensor large = torch::randn({2, 3, 16, 16}), small = torch::randn({3, 3, 8, 8});
  check_same_gradients(with_everything_random(), [&](Vit& vit) {
    return vit.pooled(large).square().mean() + vit.pooled(small).square().mean();
  });
}

TEST_CASE("the backward of checkpointed blocks needs nothing of the forward's thread") {
  const auto vit = random_vit(with_everything_random());
  vit->train();
  const at::Tensor images = torch::randn({4, 3, 16, 16});
  const auto loss = [&](Vit& v) {
    const ComputeTypeGuard type(at::kBFloat16);
    return v.forward_features(images).to(at::kFloat).square().mean();
  };
  const NamedTensors plain = gradients(*vit, loss);
  checkpoint_blocks(*vit, -1);
  torch::manual_seed(5);
  vit->zero_grad();
  const at::Tensor made = loss(*vit);
  std::thread([&] { made.backward(); }).join();
  for (const auto& item : vit->named_parameters()) {
    INFO(item.key());
    const bool same = torch::equal(item.value().grad(), plain.at(item.key()));
    CHECK(same);
  }
}

TEST_CASE("frozen blocks get no gradient, and pass one on") {
  const auto vit = random_vit(with_everything_random());
  for (auto& parameter : vit->blocks()[1]->parameters()) parameter.set_requires_grad(false);
  checkpoint_blocks(*vit, -1);
  vit->forward_features(torch::randn({2, 3, 16, 16})).mean().backward();
  CHECK(vit->blocks()[0]->parameters()[0].grad().defined());
  for (const auto& parameter : vit->blocks()[1]->parameters()) CHECK(!parameter.grad().defined());

  // With nothing to train there is nothing to keep either.
  const at::Tensor out = vit->blocks()[1]->forward(torch::randn({1, 17, 16}));
  CHECK(!out.requires_grad());
  const torch::NoGradGuard no_grad;
  CHECK(!vit->blocks()[0]->forward(torch::randn({1, 17, 16})).requires_grad());
}

TEST_CASE("as many blocks are checkpointed as are asked for, the first ones") {
  const auto vit = random_vit(with_everything_random());
  checkpoint_blocks(*vit, 2);
  CHECK(is_checkpointed(*vit, 0));
  CHECK(is_checkpointed(*vit, 1));
  CHECK(!is_checkpointed(*vit, 2));
  checkpoint_blocks(*vit, 0);
  CHECK(!is_checkpointed(*vit, 0));
}

TEST_CASE("checkpointed blocks keep their inputs and nothing else") {
  tune_allocator();  // counts the memory of tensors
  VitOptions o = tiny_vit();
  o.depth = 8;
  const auto vit = random_vit(o);
  constexpr int64_t kBatch = 64;
  const at::Tensor tokens = torch::randn({kBatch, 17, o.embed_dim}).requires_grad_();
  const auto bytes_of_tokens = static_cast<int64_t>(tokens.nbytes());
  struct Memory {
    int64_t kept, peak;
  };
  const auto measured = [&](int64_t checkpointed) {
    checkpoint_blocks(*vit, checkpointed);
    const int64_t before = tensor_memory().now;
    restart_tensor_peak();
    const at::Tensor out = vit->run_blocks(tokens, 4, 4);
    const Memory memory{tensor_memory().now - before, 0};
    out.sum().backward();
    return Memory{memory.kept, tensor_memory().peak - before};
  };
  measured(0);  // gradients, which stay, are made
  const Memory plain = measured(0), half = measured(4), all = measured(-1);
  // The output of each block, and little besides: state of the generator, sizes rounded up.
  CHECK(all.kept >= 8 * bytes_of_tokens);
  CHECK(all.kept < 12 * bytes_of_tokens);
  CHECK(plain.kept > 4 * all.kept);
  CHECK(half.kept < (plain.kept + all.kept) * 11 / 20);
  CHECK(half.kept > (plain.kept + all.kept) * 9 / 20);
  CHECK(2 * all.peak < plain.peak);
}
