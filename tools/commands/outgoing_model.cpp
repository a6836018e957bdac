#include "commands/outgoing_model.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "commands/own_run.h"
#include "error.h"
#include "files.h"
#include "finetune/finetune_options.h"
#include "finetune/model.h"
#include "json_text.h"
#include "models/weights/checkpoint.h"
#include "models/weights/name_patterns.h"
#include "pretrain/pretrain_run.h"
#include "utf8.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// "license: apache-2.0" at the head of a model card.
std::string license_in_card(const fs::path& folder) {
  const fs::path card = folder / "README.md";
  if (!fs::is_regular_file(card)) return "";
  const std::string text = read_whole_file(card);
  const std::string key = "\nlicense:";
  const size_t end = text.find("\n---", 3), at = text.find(key);
  if (!text.starts_with("---\n") || at >= end) return "";
  const std::string line = text.substr(at + key.size(), text.find('\n', at + 1) - at - key.size());
  const size_t first = line.find_first_not_of(" \t\"'");
  return first == std::string::npos
             ? ""
             : line.substr(first, line.find_last_not_of(" \t\r\"'") + 1 - first);
}

std::string license_of(const LoadedModel& model) {
  if (const json& config = model.config; config.is_object() && config.contains("pretrained_cfg")) {
    const json& about = config.at("pretrained_cfg");
    const json license = about.is_object() ? about.value("license", json()) : json();
    if (license.is_string()) return license.get<std::string>();
  }
  const fs::path source = model.source;
  return license_in_card(fs::is_directory(source) ? source : source.parent_path());
}

// The objective's tensors by its own names, those of the moving average where there is one.
NamedTensors own_tensors(const NamedTensors& training) {
  NamedTensors own;
  for (const std::string prefix : {"objective.", "average."}) {
    for (const auto& [name, tensor] : training) {
      if (name.starts_with(prefix)) own[name.substr(prefix.size())] = tensor;
    }
  }
  return own;
}

// The scores in the run's line of metrics after this step.
std::map<std::string, double> scores_at(const fs::path& metrics, int64_t step) {
  std::map<std::string, double> scores;
  if (!fs::is_regular_file(metrics)) return scores;
  std::istringstream lines(read_whole_file(metrics));
  for (std::string line; std::getline(lines, line);) {
    const json values = json_or_discarded(line);
    if (!values.is_object() || values.value("step", json()) != step) continue;
    for (const auto& [name, value] : values.items()) {
      if (name.find("top") != std::string::npos && value.is_number()) scores[name] = value;
    }
  }
  return scores;
}

// Tells where a model of ours comes from. `training` is what its checkpoint has beside the backbone.
void describe_run(const std::string& from, const NamedTensors& training, OutgoingModel& out) {
  const std::string file = fs::path(out.model.source) / "meta.json";
  const json document = parse_json(read_whole_file(file), file), meta = document.at("meta");
  out.epochs = meta.value("epoch", int64_t{0});
  out.images = meta.value("samples", int64_t{0});
  const std::string path = recipe_of_run(from);
  if (path.empty()) return;
  const fs::path run = fs::path(path).parent_path();
  out.checkpoint = fs::path(out.model.source).lexically_normal().lexically_relative(run);
  out.scores = scores_at(run / "metrics.jsonl", meta.at("step"));
  Recipe recipe = Recipe::load(path);
  out.method = recipe.has("finetune") ? "finetune" : objective_in(recipe, "mae");
  if (out.method == "finetune") return;
  ObjectiveRegistry registry;
  register_all_objectives(registry);
  const auto method = registry.make(out.method);
  method->visit_options(recipe.reader());
  method->lay_out(own_tensors(training), out.model);
}

void leave_heads(LoadedModel& model) {
  std::erase_if(model.weights, [](const auto& item) { return is_classifier(item.first); });
  model.options.num_classes = 0;
  model.class_names.clear();
  model.extra.clear();
  model.others.clear();
}

}  // namespace

void leave_out_misfits(OutgoingModel& out) {
  LoadedModel& model = out.model;
  for (const auto& [name, tensor] : model.extra) {
    if (!out.format->has_place(model, name)) out.left_out.push_back(name);
  }
  for (const std::string& name : out.left_out) model.extra.erase(name);
  if (!out.format->code_base().empty()) return;
  std::set<std::string> networks;  // and buffers of losses
  for (const auto& [name, tensor] : model.others) networks.insert(name.substr(0, name.find('.')));
  out.left_out.insert(out.left_out.end(), networks.begin(), networks.end());
  model.others.clear();
}

OutgoingModel outgoing_model(LoadedModel loaded,
                             const std::string& from,
                             const FormatChoice& choose,
                             bool bare) {
  require_heads(loaded.options, loaded);
  OutgoingModel out{.model = std::move(loaded)};
  LoadedModel& model = out.model;
  if (fs::exists(fs::path(model.source) / "meta.json")) {
    const NamedTensors training = std::exchange(model.extra, {});
    describe_run(from, training, out);
  }
  out.license = license_of(model);
  if (bare) leave_heads(model);
  out.format = &choose(model);
  leave_out_misfits(out);
  // Others take another crop where none is written down.
  model.crop_pct = evaluation_crop(model, model.options.image_height());
  for (std::string& name : model.class_names) name = utf8_or_escaped(name);
  return out;
}

OutgoingModel outgoing_model(LoadedModel loaded,
                             const std::string& from,
                             const WeightFormat& format,
                             bool bare) {
  const auto choose = [&](const LoadedModel&) -> const WeightFormat& { return format; };
  return outgoing_model(std::move(loaded), from, FormatChoice(choose), bare);
}

}  // namespace previt::cli
