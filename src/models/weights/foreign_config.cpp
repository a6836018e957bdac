#include "models/weights/foreign_config.h"

#include <algorithm>
#include <map>
#include <utility>

#include "error.h"
#include "models/weights/other_networks.h"

namespace previt {
namespace {

using nlohmann::json;

int64_t whole(const json& config, const char* key, int64_t otherwise) {
  const auto it = config.find(key);
  return it != config.end() && it->is_number_integer() ? it->get<int64_t>() : otherwise;
}

void take_heads(const json& config, const char* key, LoadedModel& model) {
  const int64_t heads = whole(config, key, 0);
  if (heads <= 0) return;
  const int64_t width = model.options.attention_width();
  require(width % heads == 0,
          "{}: {}: {} does not divide its width {}",
          model.source,
          key,
          heads,
          width);
  model.options.num_heads = heads;
  model.heads_told = true;
}

// One number for a square, or [height, width]; empty if the value is neither.
std::vector<int64_t> sides(const json& value) {
  if (value.is_number_integer()) return {value.get<int64_t>()};
  if (!value.is_array() || value.size() != 2 || !value[0].is_number_integer() ||
      !value[1].is_number_integer()) {
    return {};
  }
  return value.get<std::vector<int64_t>>();
}

// A number for each channel; a single one is that of all.
std::vector<double> numbers(const json& value, int64_t channels) {
  if (value.is_number())
    return std::vector<double>(static_cast<size_t>(channels), value.get<double>());
  std::vector<double> list;
  if (!value.is_array()) return list;
  for (const auto& item : value) {
    if (item.is_number()) list.push_back(item.get<double>());
  }
  return list;
}

const json& member(const json& object, const char* key) {
  static const json kNothing;
  const auto it = object.find(key);
  return it == object.end() ? kNothing : *it;
}

void take_normalisation(const json& mean, const json& std, LoadedModel& model) {
  const int64_t channels = model.options.in_channels;
  NormalizeOptions given{.mean = numbers(mean, channels), .std = numbers(std, channels)};
  if (std::ssize(given.mean) != channels || std::ssize(given.std) != channels) return;
  model.normalize = std::move(given);
  model.normalize_told = true;
}

// A part that another value of the key would make something else.
void require_usual(const json& object,
                   const char* key,
                   const std::vector<json>& usual,
                   const std::string& place) {
  const json& value = member(object, key);
  require(value.is_null() || std::find(usual.begin(), usual.end(), value) != usual.end(),
          "{}: its {} is {}; our Vision Transformer has {} alone",
          place,
          key,
          value.dump(),
          json(usual).dump());
}

// transformers' families that are our Vision Transformer, and LayerNorm's eps of each where its
// configuration says none.
const std::map<std::string, double> kHfFamilies = {{"vit", 1e-12},
                                                   {"deit", 1e-12},
                                                   {"vit_mae", 1e-12},
                                                   {"ijepa", 1e-12},
                                                   {"vit_msn", 1e-6},
                                                   {"beit", 1e-12},
                                                   {"data2vec-vision", 1e-12},
                                                   {"dinov2", 1e-6},
                                                   {"dinov2_with_registers", 1e-6},
                                                   {"dpt", 1e-12},
                                                   {"flava", 1e-12}};

void apply_hf_config(const json& config, LoadedModel& model) {
  VitOptions& o = model.options;
  take_heads(config, "num_attention_heads", model);
  const json& type = member(config, "model_type");
  const auto family = kHfFamilies.find(type.is_string() ? type.get<std::string>() : "");
  if (family == kHfFamilies.end()) {
    model.guesses.push_back(
        fmt::format("{}: model_type {} is unknown; it is read as a plain Vision Transformer",
                    model.source,
                    type.dump()));
  } else {
    o.norm_eps = family->second;
  }
  if (const json& eps = member(config, "layer_norm_eps"); eps.is_number())
    o.norm_eps = eps.get<double>();
  for (const char* key : {"layer_scale_init_value", "layerscale_value"}) {
    const json& value = member(config, key);
    if (o.layer_scale > 0 && value.is_number() && value.get<double>() > 0)
      o.layer_scale = value.get<double>();
  }
  const json& hidden_act = member(config, "hidden_act");
  require(hidden_act.is_null() || hidden_act == "gelu",
          "{}: hidden_act {} is not gelu",
          model.source,
          hidden_act.dump());
  const json& labels = member(config, "id2label");
  for (int64_t i = 0; i < o.num_classes && labels.is_object(); ++i) {
    const json& name = member(labels, std::to_string(i).c_str());
    model.class_names.push_back(name.is_string() ? name.get<std::string>() : std::to_string(i));
  }
}

void take_timm_pool(const json& pool, LoadedModel& model) {
  VitOptions& o = model.options;
  require(pool != "token" || o.pool == Pooling::cls || !o.cls_token,
          "{}: norms its class token by fc_norm, which our Vision Transformer does to means alone",
          model.source);
  if (pool != "avg" || o.pool != Pooling::cls) return;
  // A final norm in the file is that of all tokens: fc_norm=False.
  o.pool = model.weights.contains("norm.weight") ? Pooling::norm_avg : Pooling::avg;
}

// Ours are resized and their middle is cut out.
void guess_centre(const json& how, LoadedModel& model) {
  model.guesses.push_back(
      fmt::format("{}: its images are made square otherwise ({}); here the middle of those that "
                  "aren't is taken",
                  model.source,
                  how.dump()));
}

void apply_timm_config(const json& config, LoadedModel& model) {
  VitOptions& o = model.options;
  if (const json& name = member(config, "architecture"); name.is_string()) {
    const std::string other = what_timm_computes(name.get<std::string>());
    require(other.empty(),
            "{}: {} has {}, which our Vision Transformer has not",
            model.source,
            name.get<std::string>(),
            other);
  }
  const json& args = member(config, "model_args");
  if (args.is_object()) {
    take_heads(args, "num_heads", model);
    const json& initial = member(args, "init_values");
    if (o.layer_scale > 0 && initial.is_number() && initial > 0) o.layer_scale = initial;
  }
  require_usual(args, "act_layer", {o.mlp == MlpKind::swiglu ? "silu" : "gelu"}, model.source);
  require_usual(args, "norm_layer", {"layernorm"}, model.source);
  require_usual(args, "qk_norm", {false}, model.source);
  require_usual(args, "final_norm", {true}, model.source);
  require_usual(args, "pool_include_prefix", {false}, model.source);
  // What the arguments say counts.
  const json& pools = member(args, "global_pool").is_null() ? config : args;
  require_usual(pools, "global_pool", {"token", "avg", ""}, model.source);
  take_timm_pool(member(pools, "global_pool"), model);
  // Before timm 0.9 these stood at the top.
  const json& about = config.contains("pretrained_cfg") ? config.at("pretrained_cfg") : config;
  take_normalisation(member(about, "mean"), member(about, "std"), model);
  const json& crop_mode = member(about, "crop_mode");
  if (crop_mode.is_string() && crop_mode != "center") guess_centre(crop_mode, model);
  const json& crop_pct = member(about, "crop_pct");
  if (crop_pct.is_number() && crop_pct > 0 && crop_pct <= 1) model.crop_pct = crop_pct;
  for (const auto& name : member(config, "label_names")) {
    if (name.is_string()) model.class_names.push_back(name.get<std::string>());
  }
}

// A name such as "mae_vit_base_patch16" or DINO's "vit_small" gives the number of heads where the
// width alone does not, and else confirms it.
void take_heads_of_size(const std::string& name, LoadedModel& model) {
  VitOptions& o = model.options;
  for (const char* size : {"vit_tiny", "vit_small", "vit_base", "vit_large", "vit_huge"}) {
    const int64_t heads = resolve({.arch = size}).num_heads;
    const bool fits = o.num_heads == 0 ? o.embed_dim % heads == 0 : o.num_heads == heads;
    if (name.find(size) == std::string::npos || !fits) continue;
    o.num_heads = heads;
    model.heads_told = true;
  }
}

void apply_arguments(const json& args, LoadedModel& model) {
  if (const json& own = member(args, kOwnArguments); own.is_object()) apply_timm_config(own, model);
  for (const char* key : {"model", "arch"}) {
    const json& value = member(args, key);
    if (value.is_string() && !model.heads_told) take_heads_of_size(value.get<std::string>(), model);
  }
  // BEiT's scripts, whose pixels have mean and deviation .5 unless it is given.
  const json& imagenet = member(args, "imagenet_default_mean_and_std");
  if (!imagenet.is_boolean() || model.normalize_told) return;
  model.normalize =
      imagenet.get<bool>() ? NormalizeOptions() : half_normalize(model.options.in_channels);
  model.normalize_told = true;
}

}  // namespace

std::vector<int64_t> image_size_in(const json& config) {
  if (!config.is_object()) return {};
  if (const json& own = member(config, kOwnArguments); own.is_object()) return image_size_in(own);
  for (const char* key : {"image_size", "input_size"}) {
    if (const auto size = sides(member(config, key)); !size.empty()) return size;
  }
  const json& args = member(config, "model_args");
  return args.is_object() ? sides(member(args, "img_size")) : std::vector<int64_t>();
}

json config_image_size(const VitOptions& options) {
  return options.image_size.size() == 1 ? json(options.image_height()) : json(options.image_size);
}

NormalizeOptions half_normalize(int64_t channels) {
  const std::vector<double> half(static_cast<size_t>(channels), 0.5);
  return {.mean = half, .std = half};
}

void guess_normalization(LoadedModel& model, const LoadHints& hints, const std::string& usual) {
  if (model.normalize_told || hints.normalize_said) return;
  model.guesses.push_back(
      fmt::format("{}: does not say how pixels are normalised; mean {} and standard deviation {} "
                  "are taken{} ({})",
                  model.source,
                  fmt::join(model.normalize.mean, ", "),
                  fmt::join(model.normalize.std, ", "),
                  usual,
                  hints.words.normalize));
}

void apply_config(const json& config, LoadedModel& model) {
  if (!config.is_object()) return;
  if (config.contains("model_type")) {
    apply_hf_config(config, model);
  } else if (config.contains("architecture")) {
    apply_timm_config(config, model);
  } else {
    apply_arguments(config, model);
  }
}

void apply_preprocessor(const json& config, LoadedModel& model) {
  if (!config.is_object()) return;
  require_usual(config, "do_rescale", {true}, model.source);
  if (member(config, "do_normalize") == false) {
    take_normalisation(0, 1, model);
  } else {
    take_normalisation(member(config, "image_mean"), member(config, "image_std"), model);
  }
  const json &size = member(config, "size"), &crop = member(config, "crop_size");
  // Before transformers 4.20 both were numbers.
  const int64_t resized =
      size.is_object() ? whole(size, "shortest_edge", 0) : whole(config, "size", 0);
  const int64_t cut = crop.is_object() ? std::max(whole(crop, "height", 0), whole(crop, "width", 0))
                                       : whole(config, "crop_size", 0);
  const bool cuts = member(config, "do_center_crop") != false && cut > 0;
  if (cuts && cut <= resized) {
    model.crop_pct = static_cast<double>(cut) / static_cast<double>(resized);
  } else if (!cuts && !size.is_null()) {
    model.crop_pct = 1;  // as much of a square image as there
    guess_centre(size, model);
  }
}

}  // namespace previt
