#include <algorithm>

#include "error.h"
#include "support/catch.h"
#include "support/tiny_vit.h"

using namespace previt;

namespace {

int64_t count_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

// Blocks are alike, so that two shallow models give the count of the deep one.
int64_t count_at_depth(const std::string& arch, int64_t patch_size, int64_t depth) {
  VitOptions o;
  o.arch = arch;
  o.patch_size = patch_size;
  o.depth = 1;
  const int64_t one = count_parameters(Vit(o));
  o.depth = 2;
  return one + (depth - 1) * (count_parameters(Vit(o)) - one);
}

std::vector<std::string> names_of(const VitOptions& options) {
  std::vector<std::string> names;
  const Vit vit(options);
  for (const auto& item : vit.named_parameters()) names.push_back(item.key());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("named sizes have the published numbers of parameters") {
  struct Published {
    const char* arch;
    int64_t patch, depth, count;
  };
  const auto sizes = {Published{"vit_tiny", 16, 12, 5'524'416},
                      Published{"vit_small", 16, 12, 21'665'664},
                      Published{"vit_small", 8, 12, 21'670'272},
                      Published{"vit_base", 16, 12, 85'798'656},
                      Published{"vit_base", 8, 12, 85'807'872},
                      Published{"vit_large", 16, 24, 303'301'632},
                      Published{"vit_huge", 14, 32, 630'764'800}};
  for (const auto& size : sizes) {
    INFO(size.arch << "/" << size.patch);
    VitOptions options;
    options.arch = size.arch;
    CHECK(resolve(options).depth == size.depth);
    CHECK(count_at_depth(size.arch, size.patch, size.depth) == size.count);
  }
}

TEST_CASE("parameter names are timm's and stay so") {
  VitOptions o = tiny_vit();
  o.depth = 1;
  o.register_tokens = 1;
  o.layer_scale = 0.1;
  o.num_classes = 3;
  CHECK(names_of(o) == std::vector<std::string>{"blocks.0.attn.proj.bias",
                                                "blocks.0.attn.proj.weight",
                                                "blocks.0.attn.qkv.bias",
                                                "blocks.0.attn.qkv.weight",
                                                "blocks.0.ls1.gamma",
                                                "blocks.0.ls2.gamma",
                                                "blocks.0.mlp.fc1.bias",
                                                "blocks.0.mlp.fc1.weight",
                                                "blocks.0.mlp.fc2.bias",
                                                "blocks.0.mlp.fc2.weight",
                                                "blocks.0.norm1.bias",
                                                "blocks.0.norm1.weight",
                                                "blocks.0.norm2.bias",
                                                "blocks.0.norm2.weight",
                                                "cls_token",
                                                "head.bias",
                                                "head.weight",
                                                "norm.bias",
                                                "norm.weight",
                                                "patch_embed.proj.bias",
                                                "patch_embed.proj.weight",
                                                "pos_embed",
                                                "reg_token"});

  VitOptions beit = tiny_vit();
  beit.depth = 1;
  beit.pos_embed = PosEmbed::none;
  beit.qkv_bias = QkvBias::qv;
  beit.rel_pos_bias = RelPosBias::both;
  beit.mlp = MlpKind::swiglu;
  beit.pool = Pooling::avg;
  CHECK(names_of(beit) == std::vector<std::string>{"blocks.0.attn.proj.bias",
                                                   "blocks.0.attn.proj.weight",
                                                   "blocks.0.attn.q_bias",
                                                   "blocks.0.attn.qkv.weight",
                                                   "blocks.0.attn.relative_position_bias_table",
                                                   "blocks.0.attn.v_bias",
                                                   "blocks.0.mlp.w12.bias",
                                                   "blocks.0.mlp.w12.weight",
                                                   "blocks.0.mlp.w3.bias",
                                                   "blocks.0.mlp.w3.weight",
                                                   "blocks.0.norm1.bias",
                                                   "blocks.0.norm1.weight",
                                                   "blocks.0.norm2.bias",
                                                   "blocks.0.norm2.weight",
                                                   "cls_token",
                                                   "fc_norm.bias",
                                                   "fc_norm.weight",
                                                   "patch_embed.proj.bias",
                                                   "patch_embed.proj.weight",
                                                   "rel_pos_bias.relative_position_bias_table"});
}

TEST_CASE("options that do not fit together name the option to change") {
  const auto error = [](auto change) {
    VitOptions o = tiny_vit();
    change(o);
    try {
      Vit{o};
    } catch (const UsageError& e) {
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  CHECK(error([](VitOptions& o) { o.num_heads = 3; }).starts_with("model.embed_dim: 16"));
  CHECK(error([](VitOptions& o) { o.attention_dim = 5; }).starts_with("model.attention_dim: 5"));
  CHECK(error([](VitOptions& o) { o.image_size = {18}; }).starts_with("model.image_size: 18"));
  CHECK(error([](VitOptions& o) { o.depth = 0; }).starts_with("model.arch: custom"));
  CHECK(error([](VitOptions& o) { o.cls_token = false; }).starts_with("model.pool"));
  CHECK(error([](VitOptions& o) {
          o.rel_pos_bias = RelPosBias::shared;
          o.register_tokens = 1;
        }).starts_with("model.rel_pos_bias"));
}
