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
  LoadedModel model = from_own(std::move(checkpoint.backbone),
                               std::move(checkpoint.backbone_metadata),
                               folder + "/backbone.safetensors");
  model.source = folder;
  model.extra = std::move(checkpoint.training);
  return model;
}

LoadedModel from_run(const std::string& folder,
                     std::vector<std::string>* warnings,
                     CheckpointPart part) {
  std::vector<std::string> passed_over;
  Checkpoint checkpoint = load_latest(folder, passed_over, part);
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
    const auto part =
        hints.backbone_only ? CheckpointPart::backbone : CheckpointPart::without_optimizer;
    return checkpoint ? from_checkpoint(load_checkpoint(folder, part), folder)
                      : from_run(folder, warnings, part);
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
  LoadedModel model = fs::is_directory(path)
                          ? from_folder(path, warnings, hints)
                          : from_file(read_weight_file(ckpt), nullptr, hints, ckpt);
  require_finite(model.weights, model.source);
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
