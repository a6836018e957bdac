#include "models/weights/formats/hugging_face.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "error.h"
#include "models/weights/formats/formats.h"

namespace previt {
namespace {

// Names in transformers | ours. Within a block:
// clang-format off
const RenameTable kHfAttention = {
    {"attention.attention.query.*", "attn.query.*"},
    {"attention.attention.key.*",   "attn.key.*"},
    {"attention.attention.value.*", "attn.value.*"},
    {"attention.attention.relative_position_bias.relative_position_bias_table",
     "attn.relative_position_bias_table"},
    {"attention.output.dense.*",    "attn.proj.*"},
};
const RenameTable kHfVitBlock = {
    {"layernorm_before.*",   "norm1.*"},
    {"layernorm_after.*",    "norm2.*"},
    {"intermediate.dense.*", "mlp.fc1.*"},
    {"output.dense.*",       "mlp.fc2.*"},
    {"lambda_1",             "ls1.gamma"},
    {"lambda_2",             "ls2.gamma"},
};
const RenameTable kHfDinov2Block = {
    {"layer_scale1.lambda1", "ls1.gamma"},
    {"layer_scale2.lambda1", "ls2.gamma"},
    {"mlp.weights_in.*",     "mlp.w12.*"},
    {"mlp.weights_out.*",    "mlp.w3.*"},
};
const RenameTable kHfOther = {{"*", "*"}};

// Outside of blocks:
const RenameTable kHfOuter = {
    {"embeddings.cls_token",                     "cls_token"},
    {"embeddings.distillation_token",            "dist_token"},
    {"embeddings.mask_token",                    "mask_token"},
    {"embeddings.position_embeddings",           "pos_embed"},
    {"embeddings.register_tokens",               "reg_token"},
    {"embeddings.patch_embeddings.projection.*", "patch_embed.proj.*"},
    {"encoder.relative_position_bias.*",         "rel_pos_bias.*"},
    {"pooler.layernorm.*",                       "fc_norm.*"},
    {"layernorm.*",                              "norm.*"},
    {"classifier.*",                             "head.*"},
};
const RenameTable kHfDistilledHeads = {
    {"cls_classifier.*",          "head.*"},
    {"distillation_classifier.*", "head_dist.*"},
};
const RenameTable kHfDecoder = {
    {"decoder.mask_token", "mask_token"},
    {"decoder.decoder_*",  "decoder_*"},
};
// clang-format on

RenameTable hf_blocks(const RenameTable& block) {
  return (kHfAttention + block + kHfOther).within("encoder.layer.#.", "blocks.#.");
}

// Before transformers 5 the decoder's list was "decoder_layers".
RenameTable hf_decoder_blocks() {
  const RenameTable block = kHfAttention + kHfVitBlock + kHfOther;
  return block.within("decoder.decoder_encoder.layer.#.", "decoder_blocks.#.") +
         block.within("decoder.decoder_layers.#.", "decoder_blocks.#.");
}

Naming hf_naming(RenameTable table) { return {.table = std::move(table), .steps = {split_qkv()}}; }

const RenameTable kHfVit = hf_blocks(kHfVitBlock) + kHfOuter;
const RenameTable kHfDinov2 = hf_blocks(kHfDinov2Block) + kHfOuter;
const RenameTable kHfMae = hf_decoder_blocks() + kHfDecoder + kHfVit;

bool has_decoder(const LoadedModel& model) { return model.extra.contains("decoder_pos_embed"); }
bool is_beit(const LoadedModel& model) {
  const VitOptions& o = model.options;
  return o.rel_pos_bias != RelPosBias::none || o.qkv_bias == QkvBias::qv;
}
bool has_registers(const LoadedModel& model) { return model.options.register_tokens > 0; }
bool is_dinov2(const LoadedModel& model) {
  return model.options.layer_scale > 0 || model.options.mlp == MlpKind::swiglu;
}
bool is_distilled(const LoadedModel& model) { return model.options.dist_token; }
bool holds_any(const LoadedModel&) { return true; }

// In the order of HfFamily's fields.
const std::vector<HfFamily> kFamilies = {
    {"vit_mae",
     "ViTMAE",
     "vit.",
     "",
     "ForPreTraining",
     kHfMae,
     {"pos_embed", "norm_eps", "qkv_bias"},
     {"decoder_", "mask_token"},
     has_decoder,
     hf_mae_settings},
    {"beit",
     "Beit",
     "beit.",
     "ForImageClassification",
     "ForMaskedImageModeling",
     kHfVit,
     {"pos_embed", "norm_eps", "qkv_bias", "rel_pos_bias", "layer_scale", "pool", "num_classes"},
     {"lm_head.", "mask_token"},
     is_beit,
     hf_beit_settings},
    {"dinov2_with_registers",
     "Dinov2WithRegisters",
     "dinov2_with_registers.",
     "ForImageClassification",
     "",
     kHfDinov2,
     {"pos_embed", "norm_eps", "qkv_bias", "layer_scale", "mlp", "register_tokens"},
     {"head.weight", "head.bias", "mask_token"},
     has_registers,
     hf_dinov2_settings},
    {"dinov2",
     "Dinov2",
     "dinov2.",
     "ForImageClassification",
     "",
     kHfDinov2,
     {"pos_embed", "norm_eps", "qkv_bias", "layer_scale", "mlp"},
     {"head.weight", "head.bias", "mask_token"},
     is_dinov2,
     hf_dinov2_settings},
    {"deit",
     "DeiT",
     "deit.",
     "ForImageClassificationWithTeacher",
     "",
     kHfDistilledHeads + kHfVit,
     {"pos_embed", "norm_eps", "qkv_bias", "dist_token", "num_classes"},
     {"pooler."},
     is_distilled,
     hf_vit_settings},
    {"vit",
     "ViT",
     "vit.",
     "ForImageClassification",
     "ForMaskedImageModeling",
     kHfVit,
     {"pos_embed", "norm_eps", "qkv_bias", "num_classes"},
     {"pooler.", "mask_token", "decoder.0."},
     holds_any,
     hf_vit_settings},
};

// Whether the model is SimMIM's, with one layer from a patch's token to its pixels, and no classes.
bool predicts_pixels(const LoadedModel& model) {
  const VitOptions& o = model.options;
  const auto layer = model.extra.find("decoder.0.weight");
  return layer != model.extra.end() && model.extra.contains("mask_token") &&
         layer->second.sizes() ==
             at::IntArrayRef({o.patch_size * o.patch_size * o.in_channels, o.embed_dim, 1, 1});
}

bool is_in_backbone(const std::string& name) {
  return name.starts_with("embeddings.") || name.starts_with("encoder.") ||
         name.starts_with("pooler.") || name.starts_with("layernorm.");
}

class HuggingFaceFormat final : public WeightFormat {
 public:
  std::string name() const override { return "hugging_face"; }

  std::string patch_embed() const override {
    return "embeddings.patch_embeddings.projection.weight";
  }

  bool recognises(const ForeignModel& model) const override {
    return model.network.contains(patch_embed());
  }

  ResizeConvention pos_resize(const ForeignModel& model) const override {
    return model.network.contains("embeddings.register_tokens") ? ResizeConvention::dinov2_reg
                                                                : ResizeConvention::mae;
  }

  // The names of all families at once.
  NamedWeights named(const ForeignModel& model) const override {
    static const RenameTable kAll = hf_blocks(kHfVitBlock + kHfDinov2Block) + hf_decoder_blocks() +
                                    kHfDecoder + kHfOuter + kHfDistilledHeads;
    Naming naming = hf_naming(kAll);
    naming.steps.push_back(packed_swiglu());
    return to_own(naming, model);
  }

  bool has_place(const LoadedModel& model, const std::string& name) const override {
    const HfFamily& family = hf_family(model);
    const auto& starts = family.beside;
    // A class with a head takes the class token instead of what the pooler makes of it.
    const std::string made = hf_class(family, model);
    if (name.starts_with("pooler.") && !made.ends_with("Model")) return false;
    const bool of_pixels = name == "mask_token" || name.starts_with("decoder.0.");
    if (family.stem == "ViT" && of_pixels && made != "ViTForMaskedImageModeling") return false;
    return std::any_of(starts.begin(), starts.end(), [&](const std::string& start) {
      return name.starts_with(start);
    });
  }

 private:
  ForeignModel foreign(const LoadedModel& model) const override {
    const HfFamily& family = hf_family(model);
    const std::string made = hf_class(family, model);
    NamedTensors all = model.weights;
    all.insert(model.extra.begin(), model.extra.end());
    ForeignModel file;
    file.prefix = made.ends_with("Model") ? "" : family.prefix;
    for (auto& [name, tensor] : to_foreign(hf_naming(family.names), std::move(all))) {
      // BEiT's norm belongs to its head for masked image modeling.
      const bool of_head = name.starts_with("layernorm.") && made == "BeitForMaskedImageModeling";
      (is_in_backbone(name) && !of_head ? file.network : file.beside)[name] = tensor;
    }
    file.config = hf_config(family, model);
    file.preprocessor = hf_preprocessor(model);
    file.metadata = {{"format", "pt"}};  // without it transformers refuses safetensors
    return file;
  }

  std::set<std::string> says(const LoadedModel& model) const override {
    const HfFamily& family = hf_family(model);
    require(model.options.pool == Pooling::cls || family.says.contains("pool"),
            "hugging_face: {} takes the class token, and this network averages its patches (pool: "
            "avg); timm's does too",
            family.stem);
    return family.says;
  }
};

}  // namespace

const HfFamily& hf_family(const LoadedModel& model) {
  return *std::find_if(kFamilies.begin(), kFamilies.end(), [&](const HfFamily& family) {
    return family.holds(model);
  });
}

std::string hf_class(const HfFamily& family, const LoadedModel& model) {
  const bool head = model.weights.contains("head.weight") || model.extra.contains("head.weight");
  if (head && !family.classifier.empty()) return family.stem + family.classifier;
  const bool other = model.extra.contains("lm_head.weight") || family.classifier.empty() ||
                     (family.stem == "ViT" && predicts_pixels(model));
  return family.stem + (other && !family.other_task.empty() ? family.other_task : "Model");
}

FormatPtr hugging_face_format() { return std::make_unique<HuggingFaceFormat>(); }

}  // namespace previt
