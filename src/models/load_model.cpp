#include "models/load_model.h"

#include <torch/types.h>

#include <filesystem>
#include <utility>

#include "error.h"
#include "files.h"
#include "json_options.h"
#include "json_text.h"
#include "models/checkpoint.h"
#include "models/foreign_config.h"
#include "models/layers/pos_embed.h"
#include "models/naming.h"
#include "models/pth.h"

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

// --- our own files
// ------------------------------------------------------------------------------------

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

const char* resize_convention(const std::string& family, const VitOptions& o) {
  if (family == "timm") return "timm";
  if (family == "dino") return "dino";
  if (family == "dinov2") return o.register_tokens > 0 ? "dinov2_reg" : "dino";
  return "mae";
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

LoadedModel from_foreign(const NamedTensors& tensors, json config, const std::string& place) {
  NamedWeights named = rename_weights(tensors, place);
  LoadedModel model;
  model.source = place;
  model.options = infer_options(named.backbone, image_size_in(config), place);
  model.options.pos_resize = resize_convention(named.family, model.options);
  if (has_sincos_positions(named.backbone, model.options)) {
    model.options.pos_embed = "sincos";
    model.options.pos_resize = "mae";
  }
  apply_config(config, model);
  if (static_cast<int64_t>(model.normalize.mean.size()) != model.options.in_channels) {
    const std::vector<double> half(static_cast<size_t>(model.options.in_channels), 0.5);
    model.normalize = {.mean = half, .std = half};
  }
  model.weights = std::move(named.backbone);
  model.extra = std::move(named.extra);
  model.config = std::move(config);
  return model;
}

LoadedModel from_safetensors(const std::string& path, json config) {
  auto file = read_safetensors(path);
  if (!file.metadata.contains("previt_format"))
    return from_foreign(file.tensors, std::move(config), path);
  LoadedModel model = from_metadata(file.metadata, std::move(file.tensors), path);
  model.source = path;
  return model;
}

// The state_dict in a training checkpoint: of a student and a teacher the teacher's, as in the
// official evaluations. A file may also be the state_dict itself.
const PickleValue& network_in(const PickleValue& root) {
  for (const char* key : {"teacher", "model", "module", "state_dict", "student"}) {
    const PickleValue* network = root.find(key);
    if (network != nullptr && !tensors_in(*network).empty()) return *network;
  }
  return root;
}

LoadedModel from_pth(const std::string& path, json config = {}) {
  const PthFile file = read_pth(path);
  if (const PickleValue* args = file.root->find("args"); args != nullptr && config.is_null()) {
    config = pickle_to_json(*args);
  }
  const PickleValue& network = network_in(*file.root);
  LoadedModel model = from_foreign(tensors_in(network), std::move(config), path);
  // DINO publishes bare backbones: no wrapper and no head.
  if (&network == file.root && model.options.pos_resize == "timm" &&
      model.options.num_classes == 0) {
    model.options.pos_resize = "dino";
  }
  // Classifiers of DeiT and MAE come under "model"; both resize positions without antialiasing.
  if (file.root->find("model") == &network && model.options.pos_resize == "timm") {
    model.options.pos_resize = "mae";
  }
  return model;
}

LoadedModel from_config_folder(const fs::path& folder) {
  const std::string config_path = folder / "config.json";
  json config = parse_json(read_whole_file(config_path), config_path);
  require(config.is_object(), "{}: not a JSON object", config_path);
  const fs::path weights = folder / "model.safetensors";
  const fs::path pickled = folder / "pytorch_model.bin";
  LoadedModel model = !fs::exists(weights) && fs::exists(pickled)
                          ? from_pth(pickled, std::move(config))
                          : from_safetensors(weights, std::move(config));
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

LoadedModel from_folder(const fs::path& folder, std::vector<std::string>* warnings) {
  if (fs::exists(folder / "meta.json")) return from_checkpoint(load_checkpoint(folder), folder);
  if (fs::exists(folder / "checkpoints")) return from_run(folder, warnings);
  if (fs::exists(folder / "config.json")) return from_config_folder(folder);
  fail(
      "{}: neither a run folder (checkpoints/), a checkpoint (meta.json) nor a Hugging Face or "
      "timm folder "
      "(config.json, model.safetensors)",
      folder.string());
}

}  // namespace

LoadedModel load_model(const std::string& ckpt, std::vector<std::string>* warnings) {
  const fs::path path(ckpt);
  require(fs::exists(path),
          "{}: no such file or folder; give a run folder, a checkpoint, a .safetensors, a .pth or "
          "a Hugging Face or timm folder",
          ckpt);
  if (fs::is_directory(path)) return from_folder(path, warnings);
  const std::string ending = path.extension();
  if (ending == ".safetensors") return from_safetensors(ckpt, {});
  if (ending == ".pth" || ending == ".pt" || ending == ".bin") return from_pth(ckpt);
  fail(
      "{}: give a run folder, a checkpoint, a .safetensors, a .pth or a Hugging Face or timm "
      "folder",
      ckpt);
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
