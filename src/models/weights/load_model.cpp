#include "models/weights/load_model.h"

#include <torch/types.h>

#include <filesystem>
#include <utility>

#include "error.h"
#include "files.h"
#include "json_options.h"
#include "json_text.h"
#include "models/layers/pos_embed.h"
#include "models/weights/checkpoint.h"
#include "models/weights/finite.h"
#include "models/weights/foreign_config.h"
#include "models/weights/naming.h"
#include "models/weights/weight_file.h"

namespace previt {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 1;

json parse_json(const std::string& text, const std::string& place) {
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  require(!parsed.is_discarded(), "{}: not valid JSON", place);
  return parsed;
}

// --- our own files ------------------------------------------------------------------------------

LoadedModel from_metadata(const std::map<std::string, std::string>& metadata,
                          NamedTensors weights,
                          const std::string& place) {
  require(!metadata.contains("tokenizer"),
          "{}: is an image tokenizer, not a backbone; it makes the targets of masked token "
          "prediction",
          place);
  const auto value = [&](const char* key) {
    const auto it = metadata.find(key);
    require(it != metadata.end(), "{}: header without {}", place, key);
    return parse_json(it->second, place + ": " + key);
  };
  require(
      value("previt_format") == kFormatVersion, "{}: written by a newer version of PreViT", place);
  LoadedModel model;
  model.heads_told = true;
  model.options = options_from_json<VitOptions>(value("arch"), place + ": arch");
  model.normalize = options_from_json<NormalizeOptions>(value("normalize"), place + ": normalize");
  if (metadata.contains("crop_pct")) {
    const json crop_pct = value("crop_pct");
    require(crop_pct.is_number() && crop_pct >= 0 && crop_pct <= 1,
            "{}: crop_pct: not a number in [0, 1]",
            place);
    model.crop_pct = crop_pct;
  }
  const json names = value("class_names");
  require(names.is_array(), "{}: class_names: not a list", place);
  for (const auto& name : names) {
    require(name.is_string(), "{}: class_names: not a list of words", place);
    model.class_names.push_back(name.get<std::string>());
  }
  model.weights = std::move(weights);
  return model;
}

ResizeConvention resize_convention(const std::string& family, const VitOptions& o) {
  if (family == "timm") return ResizeConvention::timm;
  if (family == "dino") return ResizeConvention::dino;
  if (family == "dinov2") {
    return o.register_tokens > 0 ? ResizeConvention::dinov2_reg : ResizeConvention::dino;
  }
  return ResizeConvention::mae;
}

// MAE's fixed positions, by which its bare encoder files are told from timm's.
bool has_sincos_positions(const NamedTensors& weights, const VitOptions& o) {
  const auto it = weights.find("pos_embed");
  if (it == weights.end() || o.embed_dim % 4 != 0) return false;
  const at::Tensor table =
      sincos_positions(o.embed_dim, o.grid_height(), o.grid_width(), o.pos_embed_cls);
  return it->second.numel() == table.numel() &&
         torch::allclose(it->second.to(torch::kFloat).view_as(table), table, 0, 1e-5);
}

// "state_dict is used, not state_dict_ema", where there was a choice.
std::string choice_between(const std::vector<Network>& networks) {
  std::string left;
  for (size_t i = 1; i < networks.size(); ++i) {
    left += (left.empty() ? "" : ", ") + networks[i].name();
  }
  return left.empty() ? "" : fmt::format("{} is used, not {}", networks.front().name(), left);
}

// DINO publishes bare backbones: no wrapper and no head. Classifiers of DeiT and MAE come under
// "model"; both resize positions without antialiasing.
ResizeConvention pickled_resize(const Network& network, const VitOptions& options) {
  if (options.pos_resize != ResizeConvention::timm) return options.pos_resize;
  if (network.key == "model" || network.key == "model_ema") return ResizeConvention::mae;
  const bool bare = network.key.empty() && options.num_classes == 0;
  return bare ? ResizeConvention::dino : ResizeConvention::timm;
}

LoadedModel from_foreign(const WeightFile& file,
                         json config,
                         const LoadHints& hints,
                         const std::string& place) {
  if (config.is_null()) config = file.args;
  const std::vector<Network> networks = networks_in(file.dicts, place, hints.network);
  const Network& network = networks.front();
  NamedWeights named = rename_weights(file.dicts.at(network.key), network.prefix, place);
  LoadedModel model;
  model.source = place;
  model.choice = choice_between(networks);
  model.options = infer_options(named.backbone, image_size_in(config), place, hints.image_size);
  model.options.pos_resize = resize_convention(named.family, model.options);
  const bool told = config.is_object() && config.contains("model_args") &&
                    config["model_args"].is_object() &&
                    config["model_args"].value("pos_embed", json()) == "none";
  require(model.options.pos_embed != PosEmbed::none ||
              model.options.rel_pos_bias != RelPosBias::none || told,
          "{}: has no positions (pos_embed or relative tables); rotary ones, as DINOv3's, are not "
          "supported",
          place);
  for (const auto& [name, tensor] : named.extra) {
    require(!name.starts_with("norm_pre.") && !name.starts_with("rope"),
            "{}: {} is no part of our Vision Transformer",
            place,
            name);
  }
  model.heads_told = model.options.rel_pos_bias != RelPosBias::none;
  if (has_sincos_positions(named.backbone, model.options)) {
    model.options.pos_embed = PosEmbed::sincos;
    model.options.pos_resize = ResizeConvention::mae;
  }
  apply_config(config, model);
  if (file.pickled) model.options.pos_resize = pickled_resize(network, model.options);
  const int64_t channels = model.options.in_channels;
  require(channels == 1 || channels == 3,
          "{}: sees {} channels; images are read as RGB (3) or made grey (1), not with others",
          place,
          channels);
  if (static_cast<int64_t>(model.normalize.mean.size()) != model.options.in_channels) {
    const std::vector<double> half(static_cast<size_t>(model.options.in_channels), 0.5);
    model.normalize = {.mean = half, .std = half};
  }
  for (const auto& [name, tensor] : named.backbone) {
    require(tensor.is_floating_point(),
            "{}: {} holds whole numbers, as quantized weights do, which are not read",
            place,
            name);
  }
  model.weights = std::move(named.backbone);
  model.extra = std::move(named.extra);
  model.config = std::move(config);
  return model;
}

// Our own files hold one network.
void require_no_choice(const LoadHints& hints, const std::string& place) {
  const std::string& wanted = hints.network;
  require(wanted.empty() || wanted == "model", "{}: has no {} weights, only: model", place, wanted);
}

LoadedModel from_file(const std::string& path, json config, const LoadHints& hints) {
  WeightFile file = read_weight_file(path);
  if (!file.metadata.contains("previt_format"))
    return from_foreign(file, std::move(config), hints, path);
  require_no_choice(hints, path);
  LoadedModel model = from_metadata(file.metadata, std::move(file.dicts.at("")), path);
  model.source = path;
  return model;
}

constexpr const char* kIndex = ".index.json";

// The file of weights, or the index of its parts, as transformers looks for them; "": there is
// none.
fs::path weights_in(const fs::path& folder) {
  for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
    for (const char* kind : {"", kIndex}) {
      const fs::path path = folder / (std::string(name) + kind);
      if (fs::exists(path)) return path;
    }
  }
  return "";
}

LoadedModel from_weights(const fs::path& path, json config, const LoadHints& hints) {
  if (!path.string().ends_with(kIndex)) return from_file(path, std::move(config), hints);
  return from_foreign(read_sharded_weights(path), std::move(config), hints, path);
}

LoadedModel from_config_folder(const fs::path& folder, const LoadHints& hints) {
  const std::string config_path = folder / "config.json";
  json config = parse_json(read_whole_file(config_path), config_path);
  require(config.is_object(), "{}: not a JSON object", config_path);
  const fs::path weights = weights_in(folder);
  require(!weights.empty(),
          "{}: has no model.safetensors, no pytorch_model.bin and no index of their parts",
          folder.string());
  LoadedModel model = from_weights(weights, std::move(config), hints);
  if (const fs::path path = folder / "preprocessor_config.json"; fs::exists(path)) {
    apply_preprocessor(parse_json(read_whole_file(path), path), model);
  }
  return model;
}

LoadedModel from_checkpoint(Checkpoint checkpoint, const std::string& folder) {
  LoadedModel model = from_metadata(checkpoint.backbone_metadata,
                                    std::move(checkpoint.backbone),
                                    folder + "/backbone.safetensors");
  model.source = folder;
  model.extra = std::move(checkpoint.training);
  return model;
}

LoadedModel from_run(const std::string& folder, std::vector<std::string>* warnings) {
  std::vector<std::string> passed_over;
  Checkpoint checkpoint = load_latest(folder, passed_over);
  if (warnings != nullptr)
    warnings->insert(warnings->end(), passed_over.begin(), passed_over.end());
  const std::string used = checkpoint.folder;
  return from_checkpoint(std::move(checkpoint), used);
}

LoadedModel from_folder(const fs::path& folder,
                        std::vector<std::string>* warnings,
                        const LoadHints& hints) {
  const bool checkpoint = fs::exists(folder / "meta.json");
  if (checkpoint || fs::exists(folder / "checkpoints")) {
    require_no_choice(hints, folder);
    return checkpoint ? from_checkpoint(load_checkpoint(folder), folder)
                      : from_run(folder, warnings);
  }
  if (fs::exists(folder / "config.json")) return from_config_folder(folder, hints);
  if (const fs::path weights = weights_in(folder); !weights.empty()) {
    return from_weights(weights, nullptr, hints);
  }
  fail(
      "{}: neither a run folder (checkpoints/), a checkpoint (meta.json) nor a Hugging Face or "
      "timm folder "
      "(config.json, model.safetensors)",
      folder.string());
}

}  // namespace

LoadedModel load_model(const std::string& ckpt,
                       std::vector<std::string>* warnings,
                       const LoadHints& hints) {
  const fs::path path(ckpt);
  require(fs::exists(path),
          "{}: no such file or folder; give a run folder, a checkpoint, a .safetensors, a .pth or "
          "a Hugging Face or timm folder",
          ckpt);
  LoadedModel model =
      fs::is_directory(path) ? from_folder(path, warnings, hints) : from_file(ckpt, nullptr, hints);
  require_finite(model.weights, model.source);
  return model;
}

std::map<std::string, std::string> describe_backbone(const VitOptions& options) {
  return {{"arch", options_to_json(options).dump()}};
}

std::map<std::string, std::string> model_metadata(std::map<std::string, std::string> description,
                                                  const NormalizeOptions& normalize,
                                                  const std::vector<std::string>& class_names,
                                                  double crop_pct) {
  description.merge(std::map<std::string, std::string>{
      {"format", "pt"},  // what Hugging Face's loader wants to see
      {"previt_format", std::to_string(kFormatVersion)},
      {"previt_version", PREVIT_VERSION},
      {"normalize", options_to_json(normalize).dump()},
      {"class_names", json_text(json(class_names))},
      {"crop_pct", json(crop_pct).dump()}});
  return description;
}

std::map<std::string, std::string> model_metadata(const VitOptions& options,
                                                  const NormalizeOptions& normalize,
                                                  const std::vector<std::string>& class_names,
                                                  double crop_pct) {
  return model_metadata(describe_backbone(options), normalize, class_names, crop_pct);
}

}  // namespace previt
