#include <ATen/CPUGeneratorImpl.h>

#include "error.h"
#include "finetune/finetune_options.h"
#include "finetune/model.h"
#include "models/layers/attention.h"
#include "models/layers/block.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"

using namespace previt;

namespace {

LoadedModel random_model(const VitOptions& options) {
  torch::manual_seed(3);
  LoadedModel loaded;
  loaded.options = resolve(options);
  loaded.source = "beit";
  const Vit vit(loaded.options);
  for (const auto& [name, tensor] : named_tensors(vit)) {
    loaded.weights[name] = torch::randn_like(tensor.detach());
  }
  return loaded;
}

// A pretrained network with one relative position table for all blocks, as BEiT leaves it.
LoadedModel beit_model() {
  VitOptions options = test::small_vit();
  options.pos_embed = PosEmbed::none;
  options.rel_pos_bias = RelPosBias::shared;
  options.layer_scale = 1e-5;
  return random_model(options);
}

}  // namespace

TEST_CASE("LayerScale's first value may be any, but it is there or not") {
  const LoadedModel loaded = beit_model();
  VitOptions wanted = loaded.options;
  wanted.layer_scale = 0.1;
  CHECK_NOTHROW(require_same_architecture(wanted, loaded));
  wanted.layer_scale = 0;
  CHECK_THROWS_AS(require_same_architecture(wanted, loaded), UsageError);
}

TEST_CASE("a shared relative position table becomes one for each block, unless a recipe says not") {
  const LoadedModel loaded = beit_model();
  const auto read = [&](const std::string& text, const LoadedModel& model) {
    auto recipe = Recipe::parse(text);
    return FinetuneRun::read(recipe, &model).options.model;
  };
  const VitOptions model = read("", loaded);
  CHECK(model.rel_pos_bias == RelPosBias::per_block);
  CHECK(read("model: {rel_pos_bias: shared}", loaded).rel_pos_bias == RelPosBias::shared);
  const auto vit = vit_from_checkpoint(loaded, model, {});
  for (const auto& block : vit->blocks()) {
    CHECK(torch::equal(block->attention().relative_position_bias_table,
                       loaded.weights.at("rel_pos_bias.relative_position_bias_table")));
  }
  LoadedModel classifier = loaded;
  classifier.options.num_classes = 3;
  CHECK(read("", classifier).rel_pos_bias == RelPosBias::shared);  // keeps its own
}

TEST_CASE("fine-tuning goes on without weights that patterns name") {
  VitOptions options = test::small_vit();
  options.layer_scale = 1e-5;
  LoadedModel loaded = random_model(options);
  VitOptions wanted = loaded.options;
  wanted.register_tokens = 2;
  wanted.layer_scale = 0;
  CHECK_THROWS_AS(require_same_architecture(wanted, loaded), UsageError);
  const std::string half = "reg_*", all = "reg_*,blocks.*.ls?.gamma";
  CHECK_NOTHROW(require_same_architecture(wanted, loaded, half));
  CHECK_THROWS_WITH(vit_from_checkpoint(loaded, wanted, {}, &half),
                    "beit: has blocks.*.ls1.gamma, blocks.*.ls2.gamma, for which the model has no "
                    "place; --allow 'blocks.*.ls1.gamma,blocks.*.ls2.gamma' goes on without");
  CHECK_THROWS_WITH(vit_from_checkpoint(loaded, wanted, {}),
                    "beit: lacks reg_token of the model, and has blocks.*.ls1.gamma, "
                    "blocks.*.ls2.gamma, for which the model has no place");
  const auto vit = vit_from_checkpoint(loaded, wanted, {}, &all);
  CHECK(torch::equal(named_tensors(*vit).at("blocks.0.attn.qkv.weight"),
                     loaded.weights.at("blocks.0.attn.qkv.weight")));

  loaded.weights["norm.weight"] = torch::ones({5});
  CHECK_THROWS_WITH(vit_from_checkpoint(loaded, loaded.options, {}),
                    "beit: norm.weight is [5], the model's is [24]");
}

TEST_CASE("a network that is only used shares the memory of its weights, and gives the same") {
  LoadedModel loaded = beit_model();
  loaded.options.num_classes = 3;
  loaded.weights["head.weight"] = torch::randn({3, 24});
  loaded.weights["head.bias"] = torch::randn({3});
  loaded.weights["cls_token"] = loaded.weights["cls_token"].to(torch::kHalf);
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const auto copied = vit_from_checkpoint(loaded, loaded.options, {.keep = true});
  const at::Tensor state = at::detail::getDefaultCPUGenerator().get_state();
  const auto shared = frozen_vit(loaded, loaded.options);
  CHECK(at::detail::getDefaultCPUGenerator().get_state().equal(state));
  CHECK(torch::equal(shared->forward(images), copied->forward(images)));
  const NamedTensors own = named_tensors(*shared), copies = named_tensors(*copied);
  const at::Tensor& weight = loaded.weights.at("blocks.1.mlp.fc1.weight");
  CHECK(own.at("blocks.1.mlp.fc1.weight").data_ptr() == weight.data_ptr());
  CHECK(copies.at("blocks.1.mlp.fc1.weight").data_ptr() != weight.data_ptr());
  CHECK(own.at("cls_token").scalar_type() == torch::kFloat);
  loaded.weights.erase("head.weight");
  CHECK_THROWS_WITH(frozen_vit(loaded, loaded.options), "beit: lacks head.weight of the model");
}
