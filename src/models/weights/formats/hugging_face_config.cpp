#include <algorithm>

#include "error.h"
#include "models/weights/foreign_config.h"
#include "models/weights/formats/hugging_face.h"

namespace previt {
namespace {

using nlohmann::json;

// The hidden width of a plain MLP, which is the length of its first bias; 0 if there is none.
int64_t hidden_width(const NamedTensors& weights, const std::string& block) {
  const auto it = weights.find(block + "mlp.fc1.bias");
  return it == weights.end() ? 0 : it->second.numel();
}

// Of all families but BEiT.
void set_plain(const HfFamily& family, const LoadedModel& model, json& config) {
  const VitOptions& o = model.options;
  config["qkv_bias"] = o.qkv_bias == QkvBias::full;
  require(o.pos_embed != PosEmbed::none, "hugging_face: {} has positions", family.stem);
}

// The value of a key in what came with the model, if it is of the same kind.
json told(const LoadedModel& model, const char* key, const json& otherwise) {
  const json& given = model.config;
  const json value = given.is_object() ? given.value(key, otherwise) : otherwise;
  return value.is_number() == otherwise.is_number() && value.is_boolean() == otherwise.is_boolean()
             ? value
             : otherwise;
}

void set_labels(const LoadedModel& model, json& config) {
  const NamedTensors& holder = model.weights.contains("head.weight") ? model.weights : model.extra;
  const auto head = holder.find("head.weight");
  if (head == holder.end()) return;
  const auto count = static_cast<size_t>(head->second.size(0));
  // Of a head that isn't ours the names came with the configuration.
  if (model.class_names.empty() && config.contains("id2label") &&
      config["id2label"].size() == count)
    return;
  json names = json::object(), numbers = json::object();
  for (size_t at = 0; at < count; ++at) {
    const std::string number = std::to_string(at);
    names[number] = at < model.class_names.size() ? model.class_names[at] : number;
    numbers[names[number].get<std::string>()] = at;
  }
  config["id2label"] = std::move(names);
  config["label2id"] = std::move(numbers);
}

}  // namespace

void hf_vit_settings(const HfFamily& family, const LoadedModel& model, json& config) {
  set_plain(family, model, config);
  config["intermediate_size"] = hidden_width(model.weights, "blocks.0.");
  if (hf_class(family, model) == "ViTForMaskedImageModeling") {
    config["encoder_stride"] = model.options.patch_size;
  }
}

// Shapes don't show the decoder's heads and the loss. They are MAE's, unless the model came with
// others: config.json, which has these keys, or the arguments of the authors' script or of a run.
void hf_mae_settings(const HfFamily& family, const LoadedModel& model, json& config) {
  hf_vit_settings(family, model, config);
  int64_t depth = 0;
  while (hidden_width(model.extra, "decoder_blocks." + std::to_string(depth) + ".") > 0) ++depth;
  config["decoder_hidden_size"] = model.extra.at("decoder_pos_embed").size(-1);
  config["decoder_num_hidden_layers"] = depth;
  config["decoder_intermediate_size"] = hidden_width(model.extra, "decoder_blocks.0.");
  config.emplace("decoder_num_attention_heads", told(model, "decoder_num_heads", 16));
  config.emplace("mask_ratio", told(model, "mask_ratio", 0.75));
  config.emplace("norm_pix_loss", told(model, "norm_pix_loss", true));
}

void hf_beit_settings(const HfFamily&, const LoadedModel& model, json& config) {
  const VitOptions& o = model.options;
  require(o.qkv_bias == QkvBias::qv,
          "hugging_face: BEiT has biases of queries and values, none of keys");
  const bool masked = model.extra.contains("lm_head.weight");
  const bool both = o.rel_pos_bias == RelPosBias::both;
  config["intermediate_size"] = hidden_width(model.weights, "blocks.0.");
  config["layer_scale_init_value"] = o.layer_scale;
  config["use_mask_token"] = model.extra.contains("mask_token");
  config["use_absolute_position_embeddings"] = o.pos_embed != PosEmbed::none;
  config["use_relative_position_bias"] = both || o.rel_pos_bias == RelPosBias::per_block;
  config["use_shared_relative_position_bias"] = both || o.rel_pos_bias == RelPosBias::shared;
  // In the class for masked image modeling the head has the norm, and the backbone none.
  config["use_mean_pooling"] = masked || o.pool == Pooling::avg;
  if (masked) config["vocab_size"] = model.extra.at("lm_head.weight").size(0);
}

void hf_dinov2_settings(const HfFamily& family, const LoadedModel& model, json& config) {
  const VitOptions& o = model.options;
  set_plain(family, model, config);
  require(o.layer_scale > 0, "hugging_face: DINOv2's networks have LayerScale");
  config["layerscale_value"] = o.layer_scale;
  const auto whole = static_cast<int64_t>(o.mlp_ratio);  // the type that transformers asks for
  config["mlp_ratio"] = static_cast<double>(whole) == o.mlp_ratio ? json(whole) : json(o.mlp_ratio);
  config["use_swiglu_ffn"] = o.mlp == MlpKind::swiglu;
  config["use_mask_token"] = model.extra.contains("mask_token");
  if (o.register_tokens > 0) config["num_register_tokens"] = o.register_tokens;
}

json hf_config(const HfFamily& family, const LoadedModel& model) {
  const VitOptions& o = model.options;
  const json& given = model.config;
  const bool same = given.is_object() && given.value("model_type", json()) == family.model_type;
  json config = same ? given : json::object();
  config["model_type"] = family.model_type;
  config["architectures"] = {hf_class(family, model)};
  config["hidden_size"] = o.embed_dim;
  config["num_hidden_layers"] = o.depth;
  config["num_attention_heads"] = o.num_heads;
  config["hidden_act"] = "gelu";
  config["layer_norm_eps"] = o.norm_eps;
  config["image_size"] = config_image_size(o);
  config["patch_size"] = o.patch_size;
  config["num_channels"] = o.in_channels;
  family.settings(family, model, config);
  set_labels(model, config);
  return config;
}

json hf_preprocessor(const LoadedModel& model) {
  const VitOptions& o = model.options;
  const json view = {{"height", o.image_height()}, {"width", o.image_width()}};
  json config = {{"image_processor_type", "ViTImageProcessor"},
                 {"do_resize", true},
                 {"size", view},
                 {"resample", 3},  // bicubic
                 {"do_rescale", true},
                 {"rescale_factor", 1 / 255.0},
                 {"do_normalize", true},
                 {"image_mean", model.normalize.mean},
                 {"image_std", model.normalize.std}};
  if (model.crop_pct > 0) {
    // ViT's processor can only squeeze. DINOv2's, which this is, makes the view of our evaluations
    // (augment/ops/crop.cpp).
    const int64_t side = std::max(o.image_height(), o.image_width());
    config["image_processor_type"] = "BitImageProcessor";
    config["size"] = {{"shortest_edge", uncropped_side(side, model.crop_pct)}};
    config["do_center_crop"] = true;
    config["crop_size"] = view;
    config["do_convert_rgb"] = o.in_channels == 3;
  }
  return config;
}

}  // namespace previt
