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

// A pretrained network with one relative position table for all blocks, as BEiT leaves it.
LoadedModel beit_model() {
  torch::manual_seed(3);
  LoadedModel loaded;
  VitOptions options = test::small_vit();
  options.pos_embed = PosEmbed::none;
  options.rel_pos_bias = RelPosBias::shared;
  options.layer_scale = 1e-5;
  loaded.options = resolve(options);
  loaded.source = "beit";
  const Vit vit(loaded.options);
  for (const auto& [name, tensor] : named_tensors(vit)) {
    loaded.weights[name] = torch::randn_like(tensor.detach());
  }
  return loaded;
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
