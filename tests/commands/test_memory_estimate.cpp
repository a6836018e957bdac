#include "commands/bench_run.h"
#include "commands/memory_estimate.h"
#include "commands/memory_probe.h"
#include "memory.h"
#include "models/kernels/precision.h"
#include "models/layers/block.h"
#include "support/catch.h"
#include "support/reduced_recipe.h"

using namespace previt;
using namespace previt::cli;

namespace {

VitOptions wide() {
  VitOptions o;
  o.arch = "custom";
  o.embed_dim = 96;
  o.depth = 1;
  o.num_heads = 4;
  return resolve(o);
}

// Bytes that the graph of one block of the model keeps, without the block's output.
double kept_by_block(const VitOptions& model, int64_t images, int64_t tokens, bool checkpointed) {
  const auto block = std::make_shared<Block>(BlockOptions{.dim = model.embed_dim,
                                                          .heads = model.num_heads,
                                                          .attention_dim = model.attention_dim,
                                                          .mlp_ratio = model.mlp_ratio,
                                                          .mlp = model.mlp,
                                                          .layer_scale = model.layer_scale});
  block->set_checkpointed(checkpointed);
  const auto pass = [&] {
    // The input is kept by the graph, so it has to go with it.
    const at::Tensor x = torch::randn({images, tokens, model.embed_dim}).requires_grad_();
    return block->forward(x);
  };
  pass();  // makes what stays: copies of weights, tables
  const int64_t before = tensor_memory().now;
  const at::Tensor out = pass();
  return static_cast<double>(tensor_memory().now - before - static_cast<int64_t>(out.nbytes()));
}

// 10 weights of 4 bytes, 6 blocks of which 5 are counted.
MemoryShape shape() {
  return {.weights = 40,
          .trained = 10,
          .copied = 5,
          .states = 2,
          .accumulates = true,
          .depth = 6,
          .counted = 5,
          .block = 100,
          .checkpointed_block = 20,
          .rest = {.fixed = 7, .per_image = 50},
          .checkpointed_rest = {.fixed = 3, .per_image = 60}};
}

}  // namespace

TEST_CASE("a block keeps what the arithmetic counts") {
  tune_allocator();
  VitOptions model = wide();
  model.mlp = GENERATE(MlpKind::gelu, MlpKind::swiglu);
  model.layer_scale = GENERATE(0, 0.1);
  model.attention_dim = GENERATE(0, 192);
  const bool bf16 = GENERATE(false, true);
  const ComputeTypeGuard type(bf16 ? at::kBFloat16 : at::kFloat);
  const double counted = block_bytes(model, 50, 0, bf16 ? 2 : 4);
  CHECK(kept_by_block(model, 64, 50, false) / 64 == Approx(counted).epsilon(0.06));
  CHECK(kept_by_block(model, 64, 50, true) / 64 ==
        Approx(checkpointed_block_bytes(model, 50)).epsilon(0.06));
}

TEST_CASE("drop path spares the branches, not the stream") {
  const VitOptions model = wide();
  const double stream = 2 * checkpointed_block_bytes(model, 10);
  const double branches = block_bytes(model, 10, 0, 4) - stream;
  CHECK(block_bytes(model, 10, 0.25, 4) == Approx(stream + 0.75 * branches));
}

TEST_CASE("what a process needs, by hand") {
  const MemoryNeed plain = memory_need(shape(), {.images = 3});
  CHECK(plain.weights == 40);
  CHECK(plain.gradients == 40);
  CHECK(plain.optimizer == 80);
  CHECK(plain.copies == 10);
  CHECK(plain.activations == 7 + 3 * (50 + 5 * 100));
  CHECK(plain.peak == 40 + 80 + 10 + 40 + plain.activations);

  const MemoryNeed shared =
      memory_need(shape(), {.images = 3, .processes = 4, .shard_optimizer = true});
  CHECK(plain.peak - shared.peak == 60);
  CHECK(memory_need(shape(), {.images = 3, .processes = 4}).peak == plain.peak);

  // Two blocks of the counted five are made again; then all are, with what stands beside them.
  CHECK(memory_need(shape(), {.images = 3, .checkpoint_blocks = 2}).activations ==
        7 + 3 * (50 + 3 * 100 + 2 * 20));
  CHECK(memory_need(shape(), {.images = 3, .checkpoint_blocks = -1}).activations ==
        Approx(3 * (5 * 20 + 100)));

  // Without accumulation gradients come as activations go.
  MemoryShape once = shape();
  once.accumulates = false;
  CHECK(memory_need(once, {.images = 3}).peak == 130 + plain.activations);
  once.trained = 10000;
  const MemoryNeed large = memory_need(once, {.images = 1});
  CHECK(large.peak == 40 + 80000 + 10 + 40000);
}

TEST_CASE("the estimate of a run is what its tensors hold") {
  tune_allocator();
  auto recipe = test::reduced_recipe(GENERATE("mae", "dino", "beit", "simmim", "ibot", "dinov2"));
  const bool checkpointed = GENERATE(false, true);
  const auto precision = GENERATE("fp32", "bf16");
  for (const std::string& setting :
       {std::string("model.depth=6"),
        std::string("model.embed_dim=96"),
        std::string("train.batch=24"),
        fmt::format("train.precision={}", precision),
        fmt::format("train.checkpoint_blocks={}", checkpointed ? "all" : "0")}) {
    recipe.set(setting);
  }
  const PretrainRun run = PretrainRun::read(recipe);
  const MemoryNeed need = memory_need(
      memory_shape(run), {.images = 24, .checkpoint_blocks = run.options.train.checkpoint_blocks});
  CHECK(need.peak == Approx(measured_peak(run)).epsilon(0.1));
}
