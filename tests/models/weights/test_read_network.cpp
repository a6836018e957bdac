// What is read of a network that others made, and which are refused.
#include <torch/types.h>

#include "error.h"
#include "files.h"
#include "finetune/model.h"
#include "models/layers/mlp.h"
#include "models/vit.h"
#include "models/weights/load_model.h"
#include "models/weights/weight_format.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "support/tiny_vit.h"
#include "support/torch_save.h"

namespace previt {
namespace {

using nlohmann::json;

NamedTensors weights_of(const Vit& vit) {
  NamedTensors copy;
  for (const auto& [name, tensor] : named_tensors(vit)) copy[name] = tensor.detach().clone();
  return copy;
}

class Files {
 public:
  std::string at(const char* name) const { return folder.path() + "/" + name; }
  // A folder of timm with these keys in its configuration.
  std::string timm(const NamedTensors& weights, json config) const {
    config.emplace("architecture", "vit_base_patch16_224");
    write_safetensors(at("model.safetensors"), weights);
    write_whole_file(at("config.json"), config.dump());
    return folder.path();
  }
  std::string file(const NamedTensors& weights) const {
    write_safetensors(at("weights.safetensors"), weights);
    return at("weights.safetensors");
  }
  const TempFolder folder;
};

}  // namespace

TEST_CASE_METHOD(Files, "a final norm before the mean of the patches is used, and goes to timm") {
  const torch::NoGradGuard no_grad;
  VitOptions options = tiny_vit();
  options.pool = Pooling::norm_avg;
  options.num_classes = 3;
  options.cls_token = options.pos_embed_cls = GENERATE(false, true);
  const auto vit = random_vit(options);
  const NamedTensors own = weights_of(*vit);
  const json args = {{"num_heads", 2}, {"fc_norm", false}};
  const LoadedModel model = load_model(timm(own, {{"global_pool", "avg"}, {"model_args", args}}));
  REQUIRE(model.options.pool == Pooling::norm_avg);

  const auto frozen = frozen_vit(model, model.options);
  const at::Tensor images = torch::randn({2, 3, 16, 16});
  const at::Tensor normed = torch::layer_norm(vit->run_blocks(vit->embed(images), 4, 4),
                                              {16},
                                              own.at("norm.weight"),
                                              own.at("norm.bias"),
                                              options.norm_eps);
  const at::Tensor mean = normed.slice(1, vit->num_prefix_tokens()).mean(1);
  const at::Tensor logits = torch::linear(mean, own.at("head.weight"), own.at("head.bias"));
  CHECK(nearly_equal(frozen->pooled(images), mean, 1e-4));
  CHECK(nearly_equal(frozen->forward(images), logits, 1e-4));
  CHECK(nearly_equal(frozen->intermediate(images, 1)[0], normed, 1e-4));

  const ForeignModel files = format_named("timm").write(model);
  CHECK(files.network.contains("norm.weight"));
  CHECK(files.config.at("global_pool") == "avg");
  CHECK(files.config.at("model_args").at("fc_norm") == false);
}

TEST_CASE_METHOD(Files, "without a class token the norm's name says where the mean is taken") {
  VitOptions options = tiny_vit();
  options.cls_token = options.pos_embed_cls = false;
  options.pool = GENERATE(Pooling::avg, Pooling::norm_avg);
  CHECK(load_model(file(weights_of(Vit(options)))).options.pool == options.pool);
}

TEST_CASE_METHOD(Files, "parts between the patches and the head that ours lacks are refused") {
  NamedTensors weights = weights_of(Vit(tiny_vit()));
  const std::string part = GENERATE(as<std::string>(),
                                    "attn_pool.latent",
                                    "patch_embed.norm.weight",
                                    "patch_embed.backbone.stem.conv.weight",
                                    "pre_logits.fc.weight");
  weights[part] = torch::ones({16});
  const std::string path = file(weights);
  CHECK_THROWS_WITH(load_model(path), path + ": " + part + " is no part of our Vision Transformer");
}

TEST_CASE_METHOD(Files, "a configuration of timm that makes something else is refused") {
  const NamedTensors weights = weights_of(Vit(tiny_vit()));
  const auto refuse = [&](const json& config, const std::string& why) {
    CHECK_THROWS_WITH(load_model(timm(weights, config)), ContainsSubstring(why));
  };
  const auto with = [](const char* key, const json& value) {
    return json{{"model_args", {{"num_heads", 2}, {key, value}}}};
  };
  refuse({{"global_pool", "map"}},
         R"(model.safetensors: its global_pool is "map"; our Vision Transformer has )"
         R"(["token","avg",""] alone)");
  refuse(with("global_pool", "max"), R"(its global_pool is "max")");
  refuse(with("act_layer", "quick_gelu"), R"(its act_layer is "quick_gelu"; our)");
  refuse(with("norm_layer", "rmsnorm"), R"(its norm_layer is "rmsnorm"; our)");
  refuse(with("qk_norm", true), "its qk_norm is true; our");
  refuse(with("final_norm", false), "its final_norm is false; our");
  refuse(with("pool_include_prefix", true), "its pool_include_prefix is true; our");
  const auto named = [](const char* name) { return json{{"architecture", name}}; };
  refuse(named("vit_small_patch16_rope_ape_224"), "has rotary positions, which our");
  refuse(named("eva02_tiny_patch14_224"), "has rotary positions, or norms after");
  refuse(named("vit_base_patch16_rpn_224"),
         "vit_base_patch16_rpn_224 has norms after its branches");
  refuse(named("vit_so400m_patch16_siglip_gap_256"), "has GELU by tanh");
  json usual = with("act_layer", "gelu");
  usual["model_args"].update({{"qk_norm", false}, {"norm_layer", nullptr}, {"global_pool", ""}});
  CHECK(load_model(timm(weights, usual)).options.num_heads == 2);
  CHECK(load_model(timm(weights, named("vit_base_patch14_siglip_gap_224"))).weights.size() ==
        weights.size());
}

TEST_CASE_METHOD(Files, "a network whose class token has a norm of its own is refused") {
  VitOptions options = tiny_vit();
  options.pool = Pooling::avg;
  const NamedTensors weights = weights_of(Vit(options));
  CHECK(load_model(timm(weights, {{"global_pool", "avg"}})).options.pool == Pooling::avg);
  CHECK_THROWS_WITH(load_model(timm(weights, {{"global_pool", "token"}})),
                    ContainsSubstring("norms its class token by fc_norm"));
}

TEST_CASE_METHOD(Files, "no norm is made up for a network that is used as it is") {
  NamedTensors weights = weights_of(Vit(tiny_vit()));
  weights.erase("norm.weight");
  weights.erase("norm.bias");
  LoadedModel model = load_model(file(weights));
  model.options.num_heads = 2;
  CHECK_THROWS_WITH(frozen_vit(model, model.options), ContainsSubstring("norm."));
  CHECK_THROWS_WITH(format_named("timm").write(model), "timm: the network has no norm.weight");
}

TEST_CASE_METHOD(Files, "networks of another kind are named") {
  const auto why = [&](const std::vector<std::string>& names) {
    NamedTensors weights;
    for (const std::string& name : names) weights[name] = torch::zeros({8, 3, 4, 4});
    try {
      load_model(file(weights));
    } catch (const Error& e) {
      const std::string text = e.what();
      return text.substr(text.find(": ") + 2);
    }
    return std::string("read");
  };
  CHECK(why({"patch_embed.proj.weight", "layers.0.blocks.0.attn.qkv.weight"}) ==
        "is a Swin Transformer, not a plain Vision Transformer");
  CHECK(why({"conv_proj.weight"}) == "has the names of torchvision, which are not read");
  CHECK(why({"vision_model.embeddings.patch_embedding.weight"}) ==
        "is of CLIP or SigLIP, which are not read");
  CHECK(why({"visual.conv1.weight"}) == "is of CLIP or SigLIP, which are not read");
  CHECK(why({"layer.0.attention.q_proj.weight"}) ==
        "is of DINOv3, whose rotary positions are not supported");
  CHECK(why({"backbone.patch_embed.projection.weight"}) ==
        "has the names of mmpretrain, which are not read");
  CHECK(why({"conv1.weight"}) ==
        "holds no Vision Transformer (no patch_embed.proj.weight); docs/weight_formats.md has "
        "those that are read");
  CHECK(why({"patch_embed.proj.weight"}) ==
        "has no blocks; docs/weight_formats.md has those that are read");

  const std::string saved = at("vit_b_16.pth");
  const NamedTensors torchvision = {{"conv_proj.weight", torch::zeros({8, 3, 4, 4})}};
  write_whole_file(saved, test::torch_save({{"model", torchvision}}));
  CHECK_THROWS_WITH(load_model(saved),
                    saved + ": has the names of torchvision, which are not read");
}

TEST_CASE_METHOD(Files, "no unit of an MLP is lost to the rounding of its ratio") {
  VitOptions options = tiny_vit();
  options.embed_dim = 28;
  options.mlp_ratio = 61.0 / 28;
  REQUIRE(mlp_hidden_width(MlpKind::gelu, 28, options.mlp_ratio) == 60);  // what is to be mended
  CHECK(mlp_hidden_width(MlpKind::gelu, 28, mlp_ratio_of(61, 28)) == 61);
  CHECK(mlp_hidden_width(MlpKind::gelu, 896, mlp_ratio_of(3624, 896)) == 3624);
  CHECK(mlp_ratio_of(112, 28) == 4);

  options.mlp_ratio = mlp_ratio_of(61, 28);
  const NamedTensors weights = weights_of(Vit(options));
  CHECK(weights.at("blocks.0.mlp.fc1.bias").numel() == 61);
  LoadedModel model = load_model(file(weights));
  model.options.num_heads = 2;
  CHECK_NOTHROW(frozen_vit(model, model.options));
  CHECK(format_named("timm").write(model).config.at("model_args").at("mlp_ratio") ==
        options.mlp_ratio);
}

TEST_CASE_METHOD(Files, "a configuration of lists in lists is refused") {
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  timm(weights_of(Vit(tiny_vit())), {});
  write_whole_file(at("config.json"), R"({"architecture": "x", "z": )" + deep + "}");
  CHECK_THROWS_WITH(load_model(folder.path()),
                    at("config.json") + ": not valid JSON, or nested too deeply");
}

}  // namespace previt
