#include <torch/types.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "error.h"
#include "files.h"
#include "models/vit.h"
#include "models/weights/checkpoint.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/temp_folder.h"

namespace previt {
namespace {
namespace fs = std::filesystem;

const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";

VitOptions tiny() {
  return resolve({.arch = "vit_tiny",
                  .embed_dim = 24,
                  .depth = 2,
                  .num_heads = 3,
                  .mlp_ratio = 2,
                  .image_size = {16, 32},
                  .patch_size = 8,
                  .norm_eps = 1e-5,
                  .num_classes = 2});
}

NamedTensors detached(const Vit& vit) {
  NamedTensors copy;
  for (const auto& [name, tensor] : named_tensors(vit)) copy[name] = tensor.detach().clone();
  return copy;
}

Checkpoint checkpoint_of(const Vit& vit) {
  return {.backbone = detached(vit),
          .training = {},
          .backbone_metadata = model_metadata(
              vit.options(), {.mean = {0.1, 0.2, 0.3}, .std = {1, 2, 3}}, {"cat", "dog"}, 0.875)};
}

void check_same(const LoadedModel& model, Vit& vit) {
  Vit again(model.options);
  CHECK(load_into(again, model.weights).missing.empty());
  const at::Tensor images = torch::randn({2, 3, 16, 32});
  CHECK(torch::equal(again.forward(images), vit.forward(images)));
  CHECK(model.options.norm_eps == 1e-5);
  CHECK(model.normalize.mean == std::vector<double>{0.1, 0.2, 0.3});
  CHECK(model.class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(model.crop_pct == 0.875);
}

}  // namespace

TEST_CASE("a model comes back from a run, a checkpoint and its weight file") {
  torch::NoGradGuard no_grad;
  const TempFolder run;
  Vit vit(tiny());
  save_checkpoint(run.path(), 1, checkpoint_of(vit));
  save_checkpoint(run.path(), 2, checkpoint_of(vit));
  const std::string folder = list_checkpoints(run.path()).front();
  check_same(load_model(run.path()), vit);
  check_same(load_model(folder), vit);
  check_same(load_model(folder + "/backbone.safetensors"), vit);

  fs::resize_file(folder + "/training.safetensors", 3);
  std::vector<std::string> warnings;
  const LoadedModel model = load_model(run.path(), &warnings);
  check_same(model, vit);
  CHECK_THAT(model.source, ContainsSubstring("step_00000001"));
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], ContainsSubstring("training.safetensors"));
  CHECK_THROWS_AS(load_model(folder), Error);
}

TEST_CASE("an optimizer's state is not read, and for a look at the backbone nothing else is") {
  torch::NoGradGuard no_grad;
  const TempFolder run;
  Vit vit(tiny());
  Checkpoint checkpoint = checkpoint_of(vit);
  checkpoint.training["objective.mask_token"] = torch::ones({2});
  checkpoint.training["optimizer.step.mask_token"] = torch::full({2}, NAN);
  save_checkpoint(run.path(), 1, checkpoint);
  const std::string file = list_checkpoints(run.path()).front() + "/training.safetensors";
  const auto names = [&](const LoadHints& hints) {
    std::vector<std::string> list;
    for (const auto& [name, tensor] : load_model(run.path(), nullptr, hints).extra) {
      list.push_back(name);
    }
    return list;
  };
  CHECK(names({}) == std::vector<std::string>{"objective.mask_token"});
  CHECK(names({.backbone_only = true}).empty());

  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(-1, std::ios::end);
  bytes.put('\0');
  bytes.close();
  CHECK_THROWS_WITH(load_model(run.path()), ContainsSubstring("wrong checksum"));
  check_same(load_model(run.path(), nullptr, {.backbone_only = true}), vit);
  fs::resize_file(file, fs::file_size(file) - 1);
  CHECK_THROWS_WITH(load_model(run.path(), nullptr, {.backbone_only = true}),
                    ContainsSubstring("damaged"));
}

TEST_CASE("the architecture is inferred from shapes") {
  VitOptions o = resolve({.arch = "vit_tiny", .depth = 1, .patch_size = 8});
  SECTION("plain") {}
  SECTION("registers, LayerScale, SwiGLU, other sizes") {
    o.register_tokens = 4;
    o.pos_embed_cls = false;
    o.layer_scale = 0.1;
    o.mlp = MlpKind::swiglu;
    o.image_size = {64};
    o.in_channels = 1;
  }
  SECTION("relative positions, BEiT's biases, mean pooling") {
    o.rel_pos_bias = GENERATE(RelPosBias::shared, RelPosBias::per_block, RelPosBias::both);
    o.pos_embed = PosEmbed::none;
    o.qkv_bias = QkvBias::qv;
    o.pool = Pooling::avg;
    o.num_classes = 7;
    o.num_heads = 6;
  }
  SECTION("heads of another width than the model") {
    o.rel_pos_bias = RelPosBias::shared;
    o.num_heads = 5;
    o.attention_dim = 5 * 8;
  }
  SECTION("no class token") {
    o.cls_token = false;
    o.pool = Pooling::avg;
    o.pos_embed_cls = false;
    o.qkv_bias = QkvBias::none;
  }
  const TempFolder folder;
  const std::string path = folder.path() + "/weights.safetensors";
  const Vit vit(o);
  write_safetensors(path, detached(vit));
  const VitOptions found = load_model(path).options;
  CHECK(found.embed_dim == o.embed_dim);
  CHECK(found.num_heads == o.num_heads);
  CHECK(found.attention_dim == o.attention_dim);
  CHECK(found.mlp == o.mlp);
  CHECK(found.mlp_ratio == o.mlp_ratio);
  CHECK(resolve(found).image_height() == o.image_height());
  CHECK(found.patch_size == o.patch_size);
  CHECK(found.pos_embed == o.pos_embed);
  CHECK(found.pos_embed_cls == o.pos_embed_cls);
  CHECK(found.rel_pos_bias == o.rel_pos_bias);
  CHECK(found.qkv_bias == o.qkv_bias);
  CHECK(found.pool == o.pool);
  CHECK(found.num_classes == o.num_classes);
  Vit again(found);
  const LoadReport report = load_into(again, load_model(path).weights);
  CHECK(report.missing.empty());
  CHECK(report.unexpected.empty());
}

TEST_CASE("configurations beside the weights are honoured") {
  const LoadedModel vit = load_model(kFixtures + "hf_vit_a");
  CHECK(vit.options.num_heads == 3);
  CHECK(vit.options.norm_eps == 1e-12);
  CHECK(vit.options.pos_resize == ResizeConvention::mae);
  const LoadedModel mae = load_model(kFixtures + "hf_vitmae_a");
  CHECK(mae.options.pos_embed == PosEmbed::sincos);
  CHECK(mae.config.at("decoder_num_attention_heads") == 4);
  CHECK(mae.extra.contains("decoder_blocks.1.mlp.fc2.bias"));
  const LoadedModel beit = load_model(kFixtures + "hf_beit_a");
  CHECK(beit.options.rel_pos_bias == RelPosBias::shared);
  CHECK(beit.options.qkv_bias == QkvBias::qv);
  CHECK(beit.options.layer_scale == 0.1);
  const LoadedModel timm = load_model(kFixtures + "timm_hub_a");
  CHECK(timm.normalize.mean == std::vector<double>{0.5, 0.5, 0.5});
  CHECK(timm.crop_pct == 0.9);
  CHECK(timm.options.pos_resize == ResizeConvention::timm);
  const LoadedModel dino = load_model(kFixtures + "dino_checkpoint_a.pth");
  CHECK(dino.options.num_heads == 3);  // from args.arch
  CHECK(dino.options.pos_resize == ResizeConvention::dino);
}

TEST_CASE("what is no model is one line that says what would be") {
  const TempFolder folder;
  CHECK_THROWS_WITH(load_model(folder.path() + "/nothing"),
                    ContainsSubstring("no such file or folder; give a run"));
  CHECK_THROWS_WITH(load_model(folder.path()), ContainsSubstring("neither a run folder"));
  write_whole_file(folder.path() + "/a.txt", "x");
  CHECK_THROWS_WITH(load_model(folder.path() + "/a.txt"), ContainsSubstring("give a run folder"));
  write_whole_file(folder.path() + "/config.json", "{");
  CHECK_THROWS_WITH(load_model(folder.path()), ContainsSubstring("config.json: not valid JSON"));
  write_safetensors(folder.path() + "/a.safetensors", {{"x", torch::zeros({2})}});
  CHECK_THROWS_WITH(load_model(folder.path() + "/a.safetensors"),
                    ContainsSubstring("no Vision Transformer"));
}

TEST_CASE("a header with a wrong option is refused") {
  const TempFolder folder;
  const std::string path = folder.path() + "/a.safetensors";
  auto metadata = model_metadata(tiny(), {}, {});
  metadata["arch"] = R"({"patch_size": 0})";
  write_safetensors(path, {}, metadata);
  CHECK_THROWS_WITH(load_model(path), ContainsSubstring("arch: patch_size: 0 is not in"));
  metadata["arch"] = R"({"patchsize": 16})";
  write_safetensors(path, {}, metadata);
  CHECK_THROWS_WITH(load_model(path), ContainsSubstring("patchsize: unknown key"));
  metadata["previt_format"] = "2";
  write_safetensors(path, {}, metadata);
  CHECK_THROWS_WITH(load_model(path), ContainsSubstring("newer version"));
}

}  // namespace previt
