#include <torch/types.h>

#include <set>

#include "error.h"
#include "models/weights/infer_options.h"
#include "models/weights/weight_format.h"
#include "support/catch.h"

namespace previt {
namespace {

// Weights of these names, each a scalar that tells which it was.
NamedTensors named(const std::vector<std::string>& names) {
  NamedTensors weights;
  for (size_t i = 0; i < names.size(); ++i)
    weights[names[i]] = torch::full({}, static_cast<double>(i));
  return weights;
}

ForeignModel first_network(const NamedTensors& weights) {
  ForeignModel model = take_network(weights, networks_in({{"", weights}}, "file").front());
  model.place = "file";
  return model;
}

NamedWeights renamed(const NamedTensors& weights) {
  const ForeignModel model = first_network(weights);
  return format_of(model).named(model);
}

std::set<std::string> names(const NamedTensors& weights) {
  std::set<std::string> found;
  for (const auto& [name, tensor] : weights) found.insert(name);
  return found;
}

}  // namespace

TEST_CASE("wrappers around a network are taken off") {
  const std::string prefix = GENERATE(
      as<std::string>(), "", "module.", "backbone.", "module.backbone.", "_orig_mod.", "encoder.");
  const auto split = renamed(named(
      {prefix + "patch_embed.proj.weight", prefix + "blocks.0.norm1.weight", "head.mlp.0.weight"}));
  CHECK(names(split.backbone) ==
        std::set<std::string>{"patch_embed.proj.weight", "blocks.0.norm1.weight"});
  CHECK(names(split.extra) == std::set<std::string>{"head.mlp.0.weight"});
}

TEST_CASE("of a student and a teacher the teacher is taken") {
  const ForeignModel model = first_network(named(
      {"student.backbone.patch_embed.proj.weight", "teacher.backbone.patch_embed.proj.weight"}));
  CHECK(model.network.at("patch_embed.proj.weight").item<double>() == 1);
  CHECK(model.beside.empty());
  CHECK(format_of(model).name() == "dino");
}

TEST_CASE("official names become timm's") {
  const auto split = renamed(named({"patch_embed.proj.weight",
                                    "register_tokens",
                                    "mask_token",
                                    "blocks.0.gamma_1",
                                    "blocks.1.17.ls2.gamma",
                                    "blocks.0.attn.relative_position_index",
                                    "rel_pos_bias.relative_position_index",
                                    "rel_pos_bias.relative_position_bias_table",
                                    "lm_head.weight",
                                    "norm.bias",
                                    "head.weight"}));
  CHECK(names(split.backbone) ==
        std::set<std::string>{"patch_embed.proj.weight",
                              "reg_token",
                              "blocks.0.ls1.gamma",
                              "blocks.17.ls2.gamma",
                              "norm.bias",
                              "head.weight",
                              "rel_pos_bias.relative_position_bias_table"});
  CHECK(names(split.extra) == std::set<std::string>{"mask_token", "lm_head.weight"});
}

TEST_CASE("timm's packed SwiGLU becomes DINOv2's") {
  const auto split = renamed({{"patch_embed.proj.weight", torch::zeros({1})},
                              {"blocks.0.mlp.fc1.weight", torch::zeros({32, 8})},
                              {"blocks.0.mlp.fc2.weight", torch::zeros({8, 16})}});
  CHECK(split.backbone.contains("blocks.0.mlp.w12.weight"));
  CHECK(split.backbone.contains("blocks.0.mlp.w3.weight"));
}

TEST_CASE("query, key and value become one matrix, in this order") {
  const std::string layer = "encoder.layer.3.attention.attention.";
  NamedTensors weights = {{"embeddings.patch_embeddings.projection.weight", torch::zeros({1})}};
  for (const char* part : {"query", "key", "value"}) {
    weights[layer + part + ".weight"] = torch::full({2, 2}, static_cast<double>(part[0]));
  }
  weights[layer + "query.bias"] = torch::zeros({2});
  weights[layer + "value.bias"] = torch::ones({2});
  const auto split = renamed(weights);
  const at::Tensor qkv = split.backbone.at("blocks.3.attn.qkv.weight");
  CHECK(torch::equal(qkv.select(1, 0),
                     torch::tensor({113., 113., 107., 107., 118., 118.}).to(torch::kFloat)));
  CHECK(torch::equal(split.backbone.at("blocks.3.attn.v_bias"), torch::ones({2})));
  weights.erase(layer + "key.weight");
  CHECK_THROWS_WITH(renamed(weights), ContainsSubstring("attention without key.weight"));
}

TEST_CASE("weights that Vit can't compute are refused") {
  CHECK_THROWS_WITH(networks_in({{"", named({"conv1.weight"})}}, "resnet.pth"),
                    ContainsSubstring("resnet.pth: holds no Vision Transformer"));
  NamedTensors weights = {{"patch_embed.proj.weight", torch::zeros({8, 3, 4, 4})},
                          {"patch_embed.proj.bias", torch::zeros({8})},
                          {"blocks.0.attn.q_norm.weight", torch::zeros({8})}};
  CHECK_THROWS_WITH(infer_options(weights, {}, "file"),
                    ContainsSubstring("q_norm.weight is no part of our"));
}

}  // namespace previt
