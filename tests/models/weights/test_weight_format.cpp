#include <torch/types.h>

#include <functional>

#include "error.h"
#include "files.h"
#include "json_options.h"
#include "models/vit.h"
#include "models/weights/weight_format.h"
#include "models/weights/weights.h"
#include "models/weights/write_pth.h"
#include "support/catch.h"
#include "support/same_tensors.h"
#include "support/temp_folder.h"

namespace previt {
namespace {

// Its width tells three heads, of which nothing else does in a .pth.
VitOptions narrow() {
  return {.arch = "custom",
          .embed_dim = 192,
          .depth = 2,
          .num_heads = 3,
          .image_size = {16},
          .patch_size = 8};
}

using Change = std::function<void(VitOptions&)>;
using Shapes = std::map<std::string, std::vector<int64_t>>;

struct FormatCase {
  std::string format;
  ResizeConvention pos_resize;
  Change change;
  Shapes extra = {};
  std::string recognised = "";  // "": as `format`
};

const Shapes kDecoder = {{"mask_token", {1, 1, 24}},
                         {"decoder_pos_embed", {1, 5, 24}},
                         {"decoder_embed.weight", {24, 192}},
                         {"decoder_blocks.0.norm1.weight", {24}},
                         {"decoder_blocks.0.attn.qkv.weight", {72, 24}},
                         {"decoder_blocks.0.attn.qkv.bias", {72}},
                         {"decoder_blocks.0.mlp.fc1.bias", {96}},
                         {"decoder_blocks.0.mlp.fc2.bias", {24}},
                         {"decoder_pred.bias", {192}}};
const Shapes kMasked = {{"mask_token", {1, 1, 192}}, {"lm_head.weight", {40, 192}}};
const Shapes kDinov2Mask = {{"mask_token", {1, 192}}};

void beit(VitOptions& o) {
  o.pos_embed = PosEmbed::none;
  o.qkv_bias = QkvBias::qv;
  o.rel_pos_bias = RelPosBias::shared;
  o.layer_scale = 1e-5;
}

void beit_classifier(VitOptions& o) {
  beit(o);
  o.pool = Pooling::avg;
  o.num_classes = 3;
  o.rel_pos_bias = RelPosBias::both;
}

void registers(VitOptions& o) {
  o.register_tokens = 4;
  o.layer_scale = 1e-5;
}

void swiglu(VitOptions& o) {
  o.mlp = MlpKind::swiglu;
  o.layer_scale = 1e-5;
}

void distilled(VitOptions& o) {
  o.dist_token = true;
  o.num_classes = 3;
}

void plain(VitOptions&) {}

void sincos(VitOptions& o) { o.pos_embed = PosEmbed::sincos; }

void wide(VitOptions& o) {
  o.image_size = {16, 32};
  o.num_heads = 4;
  o.mlp_ratio = 2;
}

const std::vector<FormatCase> kFormatCases = {
    {"previt",
     ResizeConvention::timm,
     [](VitOptions& o) { o = resolve({.arch = "vit_tiny", .depth = 1}); }},
    {"previt", ResizeConvention::dino, beit_classifier},
    {"timm", ResizeConvention::timm, plain},
    {"timm", ResizeConvention::timm, wide},
    {"timm", ResizeConvention::timm, distilled},
    {"timm", ResizeConvention::mae, sincos},
    {"timm",
     ResizeConvention::timm,
     [](VitOptions& o) {
       swiglu(o);
       o.register_tokens = 4;
       o.pos_embed_cls = false;
       o.layer_scale = 0.5;
     }},
    {"timm",
     ResizeConvention::timm,
     [](VitOptions& o) {
       o.cls_token = o.pos_embed_cls = false;
       o.pool = Pooling::avg;
       o.qkv_bias = QkvBias::none;
       o.in_channels = 1;
       o.num_classes = 3;
     }},
    {"timm", ResizeConvention::timm, [](VitOptions& o) { o.pos_embed = PosEmbed::none; }},
    {"mae", ResizeConvention::mae, sincos, kDecoder},
    {"mae", ResizeConvention::mae, sincos, {}, "deit"},
    {"deit", ResizeConvention::mae, distilled},
    {"deit",
     ResizeConvention::mae,
     [](VitOptions& o) {
       o.pool = Pooling::avg;
       o.num_classes = 3;
     }},
    {"dino", ResizeConvention::dino, plain, {{"head.mlp.0.weight", {8, 192}}}},
    {"dino", ResizeConvention::dino, [](VitOptions& o) { o.num_heads = 4; }},
    {"dinov2", ResizeConvention::dino, swiglu, kDinov2Mask},
    {"dinov2", ResizeConvention::dinov2_reg, registers, kDinov2Mask},
    {"dinov2", ResizeConvention::dinov2_reg, registers},
    {"dinov2", ResizeConvention::dino, plain, {}, "dino"},
    {"beit", ResizeConvention::mae, beit, kMasked},
    {"beit", ResizeConvention::mae, beit_classifier},
    {"beit",
     ResizeConvention::mae,
     [](VitOptions& o) {
       beit(o);
       o.rel_pos_bias = RelPosBias::per_block;
       o.num_heads = 5;
       o.attention_dim = 40;
     }},
    {"hugging_face", ResizeConvention::mae, wide},
    {"hugging_face",
     ResizeConvention::mae,
     [](VitOptions& o) {
       o.norm_eps = 1e-12;
       o.qkv_bias = QkvBias::none;
       o.num_classes = 3;
     }},
    {"hugging_face", ResizeConvention::mae, distilled},
    {"hugging_face", ResizeConvention::mae, sincos, kDecoder},
    {"hugging_face", ResizeConvention::mae, beit, kMasked},
    {"hugging_face", ResizeConvention::mae, beit_classifier},
    {"hugging_face", ResizeConvention::mae, swiglu, kDinov2Mask},
    {"hugging_face", ResizeConvention::dinov2_reg, registers, kDinov2Mask},
    {"hugging_face",
     ResizeConvention::dinov2_reg,
     registers,
     {{"head.weight", {3, 384}}, {"head.bias", {3}}}},
};

LoadedModel model_of(const FormatCase& item) {
  LoadedModel model;
  model.options = narrow();
  item.change(model.options);
  model.options.pos_resize = item.pos_resize;
  for (const auto& [name, tensor] : named_tensors(Vit(model.options))) {
    const bool fixed = name == "pos_embed" && model.options.pos_embed == PosEmbed::sincos;
    model.weights[name] = fixed ? tensor.detach() : torch::randn_like(tensor).detach();
  }
  for (const auto& [name, shape] : item.extra) model.extra[name] = torch::randn(shape);
  const auto channels = static_cast<size_t>(model.options.in_channels);
  model.normalize = {.mean = std::vector<double>(channels, 0.25),
                     .std = std::vector<double>(channels, 0.75)};
  if (model.options.num_classes == 3) model.class_names = {"cat", "dog", "owl"};
  return model;
}

// What the normal reader makes of the files.
LoadedModel through_files(const ForeignModel& files) {
  const TempFolder folder;
  const auto at = [&](const char* name) { return folder.path() + "/" + name; };
  if (files.pickled) {
    write_pth(at("weights.pth"), {{files.key, files.state_dict()}}, files.config);
    return load_model(at("weights.pth"));
  }
  write_safetensors(at("model.safetensors"), files.state_dict(), files.metadata);
  if (!files.config.is_null()) write_whole_file(at("config.json"), files.config.dump());
  if (!files.preprocessor.is_null()) {
    write_whole_file(at("preprocessor_config.json"), files.preprocessor.dump());
  }
  return load_model(folder.path());
}

void refuse(const std::string& format, const Change& change, const std::string& why) {
  const LoadedModel model = model_of({format, ResizeConvention::mae, change});
  CHECK_THROWS_WITH(format_named(format).write(model), why);
}

}  // namespace

TEST_CASE("what a format writes the normal reader reads as the same options and tensors") {
  torch::manual_seed(5);
  for (const FormatCase& item : kFormatCases) {
    const LoadedModel model = model_of(item);
    const auto options = options_to_json(model.options);
    INFO(item.format + ": " + options.dump());
    const ForeignModel files = format_named(item.format).write(model);
    CHECK(format_of(files).name() == (item.recognised.empty() ? item.format : item.recognised));
    const LoadedModel back = through_files(files);
    CHECK(options_to_json(back.options) == options);
    check_same_tensors(back.weights, model.weights);
    check_same_tensors(back.extra, model.extra);
    if (!files.pickled) CHECK(files.metadata.at("format") == "pt");
    if (!files.pickled || !files.key.empty()) {  // a bare state_dict has nothing beside it
      CHECK(back.normalize.mean == model.normalize.mean);
      CHECK(back.normalize.std == model.normalize.std);
      CHECK(back.class_names == model.class_names);
    }
  }
}

TEST_CASE("a fixed table of positions that was resized is written as it is") {
  LoadedModel model = model_of({"timm", ResizeConvention::mae, sincos});
  model.weights["pos_embed"] = torch::randn_like(model.weights["pos_embed"]);
  const LoadedModel back = through_files(format_named("timm").write(model));
  check_same_tensors(back.weights, model.weights);
  CHECK(back.options.pos_embed == PosEmbed::learned);
}

TEST_CASE("names become foreign and ours again, values included, in every format") {
  torch::manual_seed(6);
  for (const FormatCase& item : kFormatCases) {
    const LoadedModel model = model_of(item);
    INFO(item.format + ": " + options_to_json(model.options).dump());
    const WeightFormat& format = format_named(item.format);
    const NamedWeights back = format.named(format.write(model));
    check_same_tensors(back.backbone, model.weights);
    check_same_tensors(back.extra, model.extra);
  }
}

TEST_CASE("an official layout is that of the source, or the one that recognises the weights") {
  const auto layout = [](const FormatCase& item, const std::string& source) {
    LoadedModel model = model_of(item);
    model.format = source;
    return official_format(model).name();
  };
  const FormatCase bare = {"", ResizeConvention::timm, plain};
  CHECK(layout(bare, "") == "deit");
  CHECK(layout(bare, "timm") == "deit");
  CHECK(layout(bare, "dino") == "dino");
  CHECK(layout(bare, "mae") == "mae");
  CHECK(layout({"", ResizeConvention::mae, sincos, kDecoder}, "hugging_face") == "mae");
  CHECK(layout({"", ResizeConvention::mae, beit_classifier}, "previt") == "beit");
  CHECK(layout({"", ResizeConvention::mae, registers}, "timm") == "dinov2");
}

TEST_CASE("BEiT's tables have the indices that its scripts ask for") {
  const auto files = format_named("beit").write(model_of({"", ResizeConvention::mae, beit}));
  const auto index = files.network.find("rel_pos_bias.relative_position_index");
  REQUIRE(index != files.network.end());
  // Two by two patches and the class token; rows of the table: 9 offsets, then three for it.
  CHECK(torch::equal(index->second,
                     torch::tensor({{11, 9, 9, 9, 9},
                                    {10, 4, 3, 1, 0},
                                    {10, 5, 4, 2, 1},
                                    {10, 7, 6, 4, 3},
                                    {10, 8, 7, 5, 4}})));
}

TEST_CASE("what a code base hasn't, or would be read as something else, isn't written") {
  refuse(
      "timm",
      [](VitOptions& o) { o.norm_eps = 0.5; },
      "timm: its networks have no norm_eps: 0.5; --set model.norm_eps=1e-06 writes it with theirs");
  refuse("timm", beit, "timm: its networks have no rel_pos_bias: \"shared\"");
  refuse("timm",
         registers,
         "timm: register tokens and a position of the class token don't go together");
  refuse("dino", registers, "dino: its networks have no layer_scale: 1e-05");
  refuse("mae", distilled, "mae: its networks have no dist_token: true");
  refuse(
      "dinov2",
      [](VitOptions& o) { o.num_heads = 4; },
      "dinov2: num_heads: 4 can't be said; it would be read as 3");
  refuse(
      "hugging_face",
      [](VitOptions& o) { o.pool = Pooling::avg; },
      "hugging_face: ViT takes the class token, and this network averages its patches (pool: avg); "
      "timm's does too");
  refuse(
      "hugging_face",
      [](VitOptions& o) { o.mlp = MlpKind::swiglu; },
      "hugging_face: DINOv2's networks have LayerScale");
  CHECK_THROWS_WITH(format_named("keras"), ContainsSubstring("there are hugging_face, previt"));
}

}  // namespace previt
