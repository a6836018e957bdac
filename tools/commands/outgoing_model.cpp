#include "commands/outgoing_model.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "commands/own_run.h"
#include "error.h"
#include "files.h"
#include "finetune/finetune_options.h"
#include "finetune/model.h"
#include "json_text.h"
#include "models/weights/checkpoint.h"
#include "pretrain/objectives/mae.h"
#include "recipe.h"
#include "utf8.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Method {
  std::string objective;
};
void visit(FieldVisitor& v, Method& o) { v.field("objective", o.objective, "the method"); }

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

// The tensors of a run's decoder under the official names, of their moving average if there is one.
NamedTensors decoder_in(const NamedTensors& training) {
  NamedTensors decoder;
  for (const char* prefix : {"objective.", "average."}) {
    for (const auto& [name, tensor] : training) {
      if (!name.starts_with(prefix)) continue;
      const std::string own = name.substr(std::string(prefix).size());
      if (own.starts_with("decoder_") || own == "mask_token") decoder[own] = tensor;
    }
  }
  return decoder;
}

// MAE's decoder becomes `extra` where it is built as the official one; what its shapes don't say
// goes into the configuration.
void take_decoder(Recipe& recipe, const NamedTensors& training, LoadedModel& model) {
  MaeMethodOptions mae;
  recipe.read("mae", mae);
  const bool official =
      mae.pixel_order == PixelOrder::channel_last && mae.decoder.project && mae.decoder.norm;
  if (!official) return;
  model.extra = decoder_in(training);
  model.config = {{"model_type", "vit_mae"},
                  {"decoder_num_attention_heads", mae.decoder.num_heads},
                  {"mask_ratio", mae.mask_ratio},
                  {"norm_pix_loss", mae.norm_pix_loss}};
}

// Tells where a model of ours comes from. `training` is what its checkpoint has beside the backbone.
void describe_run(const std::string& from, const NamedTensors& training, OutgoingModel& out) {
  if (const fs::path meta = fs::path(out.model.source) / "meta.json"; fs::exists(meta)) {
    const json document = parse_json(read_whole_file(meta), meta);
    out.epochs = document.at("meta").value("epoch", int64_t{0});
  }
  const std::string file = recipe_of_run(from);
  if (file.empty()) return;
  Recipe recipe = Recipe::load(file);
  Method method;
  recipe.read(method);
  out.method = recipe.has("finetune") ? "finetune" : method.objective;
  if (out.method == "mae") take_decoder(recipe, training, out.model);
}

void leave_heads(LoadedModel& model) {
  std::erase_if(model.weights, [](const auto& item) {
    return item.first.starts_with("head.") || item.first.starts_with("head_dist.");
  });
  model.options.num_classes = 0;
  model.class_names.clear();
  model.extra.clear();
}

}  // namespace

OutgoingModel outgoing_model(LoadedModel loaded,
                             const std::string& from,
                             const WeightFormat& format,
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
  for (const auto& [name, tensor] : model.extra) {
    if (!format.has_place(model, name)) out.left_out.push_back(name);
  }
  for (const std::string& name : out.left_out) model.extra.erase(name);
  // Others take another crop where none is written down.
  FinetuneOptions evaluation;
  evaluation.eval_crop_pct = model.crop_pct;
  model.crop_pct = evaluation.crop_pct(model.options.image_height());
  for (std::string& name : model.class_names) name = utf8_or_escaped(name);
  return out;
}

}  // namespace previt::cli
