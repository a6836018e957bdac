#include "models/weights/load_model.h"

#include <filesystem>
#include <utility>

#include "error.h"
#include "files.h"
#include "json_text.h"
#include "models/weights/checkpoint.h"
#include "models/weights/finite.h"
#include "models/weights/foreign_config.h"
#include "models/weights/weight_file.h"
#include "models/weights/weight_format.h"

namespace previt {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

// "state_dict is used, not state_dict_ema", if there was a choice; else "".
std::string choice_between(const std::vector<Network>& networks) {
  std::string left;
  for (size_t i = 1; i < networks.size(); ++i) {
    left += (left.empty() ? "" : ", ") + networks[i].name();
  }
  return left.empty() ? "" : fmt::format("{} is used, not {}", networks.front().name(), left);
}

// Our own files hold one network, called "model".
void require_no_choice(const LoadHints& hints, const std::string& place) {
  const std::string& wanted = hints.network;
  require(wanted.empty() || wanted == "model", "{}: has no {} weights, only: model", place, wanted);
}

LoadedModel from_own(NamedTensors weights,
                     std::map<std::string, std::string> metadata,
                     const std::string& place) {
  ForeignModel own;
  own.place = place;
  own.network = std::move(weights);
  own.metadata = std::move(metadata);
  return format_named("previt").read(own, {});
}

// What LoadedModel::others says, of all networks but the first. Of one kind, the first counts. One
// that can't be read, as a tokenizer's decoder, is nobody's to use.
NamedTensors beside_the_first(WeightFile& file,
                              const std::vector<Network>& networks,
                              const ForeignModel& first,
                              const LoadHints& hints) {
  NamedTensors others = std::move(file.loose);
  for (size_t i = 1; i < networks.size(); ++i) {
    ForeignModel foreign = take_network(file.dicts.at(networks[i].key), networks[i]);
    foreign.place = first.place;
    foreign.config = first.config;
    foreign.pickled = first.pickled;
    LoadedModel other;
    try {
      other = format_of(foreign).read(foreign, hints);
    } catch (const Error&) {
      continue;
    }
    const std::string kind = networks[i].kind() + ".";
    for (const auto& [name, tensor] : other.weights) {
      others.emplace(kind + "backbone." + name, tensor);
    }
    for (const auto& [name, tensor] : other.extra) others.emplace(kind + name, tensor);
  }
  return others;
}

LoadedModel from_file(WeightFile file, json config, const LoadHints& hints, std::string place) {
  if (file.metadata.contains(kOwnHeader)) {
    require_no_choice(hints, place);
    return from_own(std::move(file.dicts.at("")), std::move(file.metadata), place);
  }
  if (file.dicts.empty()) file.dicts[""] = file.loose;  // whose names tell errors what it is
  const std::vector<Network> networks = networks_in(file.dicts, place, hints.network);
  ForeignModel foreign = take_network(file.dicts.at(networks.front().key), networks.front());
  foreign.place = std::move(place);
  foreign.config = config.is_null() ? std::move(file.args) : std::move(config);
  foreign.pickled = file.pickled;
  const WeightFormat& format = format_of(foreign);
  LoadedModel model = format.read(foreign, hints);
  model.choice = choice_between(networks);
  model.format = format.name();
  if (hints.whole) model.others = beside_the_first(file, networks, foreign, hints);
  return model;
}

constexpr const char* kIndex = ".index.json";

// The file of weights, or the index of its parts, in the order in which transformers looks for
// them, then an official checkpoint; "" if there is none.
fs::path weights_in(const fs::path& folder) {
  for (const char* name : {"model.safetensors", "pytorch_model.bin", kTorchFile}) {
    for (const char* kind : {"", kIndex}) {
      const fs::path path = folder / (std::string(name) + kind);
      if (fs::exists(path)) return path;
    }
  }
  return "";
}

LoadedModel from_weights(const fs::path& path, json config, const LoadHints& hints) {
  const bool parts = path.string().ends_with(kIndex);
  WeightFile file = parts ? read_sharded_weights(path) : read_weight_file(path);
  return from_file(std::move(file), std::move(config), hints, path);
}

// `weights`: the file of them in the folder, or "" where it has none.
LoadedModel from_config_folder(const fs::path& folder,
                               const fs::path& weights,
                               const LoadHints& hints) {
  const std::string config_path = folder / "config.json";
  json config = parse_json(read_whole_file(config_path), config_path);
  require(config.is_object(), "{}: not a JSON object", config_path);
  require(!weights.empty(),
          "{}: has no model.safetensors, no pytorch_model.bin and no index of their parts",
          folder.string());
  LoadedModel model = from_weights(weights, std::move(config), hints);
  if (const fs::path path = folder / "preprocessor_config.json"; fs::exists(path)) {
    apply_preprocessor(parse_json(read_whole_file(path), path), model);
  }
  if (model.format == "hugging_face") guess_normalization(model, hints);
  return model;
}

LoadedModel from_checkpoint(Checkpoint checkpoint) {
  LoadedModel model = from_own(std::move(checkpoint.backbone),
                               std::move(checkpoint.backbone_metadata),
                               checkpoint.folder + "/backbone.safetensors");
  model.source = checkpoint.folder;
  model.extra = std::move(checkpoint.training);
  return model;
}

LoadedModel from_folder(const fs::path& folder,
                        std::vector<std::string>* warnings,
                        const LoadHints& hints) {
  if (fs::exists(folder / "meta.json") || fs::exists(folder / "checkpoints")) {
    require_no_choice(hints, folder);
    const auto part =
        hints.backbone_only ? CheckpointPart::backbone : CheckpointPart::without_optimizer;
    std::vector<std::string> passed_over;
    Checkpoint checkpoint = load_checkpoint_or_latest(folder, passed_over, part);
    if (warnings != nullptr)
      warnings->insert(warnings->end(), passed_over.begin(), passed_over.end());
    return from_checkpoint(std::move(checkpoint));
  }
  const fs::path weights = weights_in(folder);
  if (fs::exists(folder / "config.json")) return from_config_folder(folder, weights, hints);
  if (!weights.empty()) return from_weights(weights, nullptr, hints);
  fail(
      "{}: neither a run folder (checkpoints/), a checkpoint (meta.json) nor a Hugging Face or "
      "timm folder "
      "(config.json, model.safetensors)",
      folder.string());
}

// A file that is named as in a Hugging Face or timm folder, and lies in one, is that folder's.
LoadedModel from_single_file(const fs::path& path, const LoadHints& hints) {
  const fs::path name = path.filename(), folder = path.parent_path();
  const bool usual = name == "model.safetensors" || name == "pytorch_model.bin";
  if (usual && fs::exists(folder / "config.json")) return from_config_folder(folder, path, hints);
  return from_file(read_weight_file(path), nullptr, hints, path);
}

// Whether the number of heads is only what is usual for the width.
bool guesses_heads(const LoadedModel& model) {
  if (model.heads_told || model.options.num_heads == 0) return false;
  return model.options.arch == "custom" || !format_named(model.format).usual_heads();
}

void tell_guesses(LoadedModel& model, const LoadHints& hints, std::vector<std::string>* warnings) {
  if (!hints.heads_said && guesses_heads(model)) {
    model.guesses.push_back(
        fmt::format("{}: does not say how many attention heads it has; {} are taken, usual for its "
                    "width ({})",
                    model.source,
                    model.options.num_heads,
                    hints.words.heads));
  }
  if (warnings == nullptr) return;
  warnings->insert(warnings->end(), model.guesses.begin(), model.guesses.end());
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
      fs::is_directory(path) ? from_folder(path, warnings, hints) : from_single_file(path, hints);
  require_finite(model.weights, model.source);
  tell_guesses(model, hints, warnings);
  return model;
}

std::vector<std::string> files_read(const LoadedModel& model) {
  const fs::path source(model.source);
  if (fs::is_directory(source)) return {source / "backbone.safetensors"};
  if (!model.source.ends_with(kIndex)) return {source};
  std::vector<std::string> files;
  for (const auto& [file, names] : files_of_index(model.source)) {
    files.push_back(source.parent_path() / file);
  }
  return files;
}

std::string source_checksum(const LoadedModel& model) {
  std::vector<std::string> files = files_read(model);
  const fs::path source(model.source);
  if (fs::is_directory(source)) files.push_back(source / "training.safetensors");
  Checksum checksum;
  for (const std::string& path : files) update_with_file(checksum, path);
  return checksum.hex();
}

}  // namespace previt
