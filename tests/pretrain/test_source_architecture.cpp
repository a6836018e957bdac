#include "files.h"
#include "pretrain/pretrain_run.h"
#include "pretrain/source_architecture.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/temp_folder.h"

using namespace previt;

TEST_CASE("a recipe takes the architecture of the weights, and is told what contradicts them") {
  const TempFolder folder;
  VitOptions options = test::small_vit();
  options.layer_scale = 0.1;
  options.qkv_bias = QkvBias::qv;
  options.image_size = {32};
  LoadedModel source = load_model(test::tiny_checkpoint(folder.path(), options));
  source.normalize.mean = {0.5, 0.5, 0.5};
  const auto read = [&](const std::string& text) {
    Recipe recipe = Recipe::parse(text);
    return PretrainRun::read(recipe, &source).options;
  };
  const RunOptions taken = read("objective: simmim\nmodel: {rel_pos_bias: none}");
  CHECK(taken.model.embed_dim == 24);
  CHECK(taken.model.num_heads == 3);
  CHECK(taken.model.patch_size == 8);
  CHECK(taken.model.qkv_bias == QkvBias::qv);
  CHECK(taken.model.pos_embed == PosEmbed::learned);  // SimMIM's own is none
  CHECK(taken.model.image_size == std::vector<int64_t>{32});
  CHECK(taken.model.drop_path == 0.1);  // SimMIM's
  CHECK(taken.normalize.mean == source.normalize.mean);
  CHECK(read("objective: mae\nmodel: {image_size: [16]}").model.image_height() == 16);

  const auto refuse = [&](const std::string& model, const std::string& message) {
    CHECK_THROWS_MATCHES(read("objective: mae\nmodel:\n  " + model),
                         UsageError,
                         Catch::Message("recipe:3: " + message));
  };
  refuse("arch: vit_small",
         "model.arch: vit_small does not fit " + source.source +
             ", which has depth 2, not 12; embed_dim 24, not 384; num_heads 3, not 6; set "
             "model.embed_dim: 24, model.depth: 2, model.num_heads: 3, or leave out model.arch");
  refuse("patch_size: 4",
         "model.patch_size: 4 does not fit " + source.source +
             ", which has patch_size 8, not 4; set model.patch_size: 8, or leave out "
             "model.patch_size");
  source.options = resolve({.arch = "vit_base"});
  source.options.pos_resize = ResizeConvention::dino;
  refuse(
      "arch: vit_tiny",
      "model.arch: vit_tiny does not fit " + source.source +
          ", which has embed_dim 768, not 192; num_heads 12, not 3; set model.arch: vit_base, or "
          "leave out model.arch");
  CHECK(read("objective: mae\nmodel: {arch: vit_base}").model.pos_resize == ResizeConvention::mae);
}

TEST_CASE("freezing needs weights, and as many blocks") {
  const auto read = [](const std::string& text) {
    Recipe recipe = Recipe::parse("model: {" + text + "}");
    return PretrainRun::read(recipe);
  };
  CHECK_THROWS_WITH(read("freeze_blocks: 2"), ContainsSubstring("give them with --from"));
  CHECK_THROWS_WITH(read("from: a, freeze_blocks: 13"), ContainsSubstring("13 of 12 blocks"));
  CHECK(read("from: a, freeze_blocks: 12").options.start.freeze_blocks == 12);
}

TEST_CASE("the checksum of a source is that of its files") {
  const TempFolder folder;
  const LoadedModel model = load_model(test::tiny_checkpoint(folder.path()));
  CHECK(source_checksum(model) == checksum_of_file(model.source));
}
