#include "models/weights/naming.h"

#include <set>
#include <utility>

#include "models/weights/name_patterns.h"

namespace previt {
namespace {

// Whether a Vit can have this name.
bool is_vit_name(const std::string& name) {
  // clang-format off
  static const std::set<std::string> kNames = {
      "cls_token", "dist_token", "reg_token", "pos_embed",
      "patch_embed.proj.weight", "patch_embed.proj.bias",
      "rel_pos_bias.relative_position_bias_table",
      "norm.weight", "norm.bias", "fc_norm.weight", "fc_norm.bias",
      "head.weight", "head.bias", "head_dist.weight", "head_dist.bias"};
  // clang-format on
  return name.starts_with("blocks.") || kNames.contains(name);
}

// Whether the classifier, if any, is the Vit's. One with a wider input, such as several blocks'
// features, is not.
bool head_fits(const NamedTensors& weights) {
  const auto head = weights.find("head.weight"), patch = weights.find(kPatchEmbed);
  return head == weights.end() || patch == weights.end() || head->second.dim() != 2 ||
         patch->second.dim() == 0 || head->second.size(1) == patch->second.size(0);
}

NamedWeights split_backbone(NamedTensors weights) {
  NamedWeights split;
  const bool own_head = head_fits(weights);
  for (auto& [name, tensor] : weights) {
    if (name.ends_with("relative_position_index")) continue;  // computed from the grid
    const bool head = is_classifier(name);
    (is_vit_name(name) && (own_head || !head) ? split.backbone : split.extra)[name] =
        std::move(tensor);
  }
  // Mean pooling replaces the final norm, even if a file still holds one.
  if (split.backbone.contains("fc_norm.weight")) {
    for (const char* name : {"norm.weight", "norm.bias"}) {
      if (auto node = split.backbone.extract(name)) split.extra.insert(std::move(node));
    }
  }
  return split;
}

}  // namespace

NamedWeights to_own(const Naming& naming, const ForeignModel& model) {
  NamedTensors weights;
  for (const NamedTensors* tensors : {&model.network, &model.beside}) {  // the first of a name wins
    for (const auto& [name, tensor] : *tensors) weights.emplace(naming.table.to_own(name), tensor);
  }
  for (const TensorStep& step : naming.steps) step.to_own(weights, model.place);
  return split_backbone(std::move(weights));
}

NamedTensors to_foreign(const Naming& naming, NamedTensors weights) {
  for (auto step = naming.steps.rbegin(); step != naming.steps.rend(); ++step) {
    step->to_foreign(weights);
  }
  NamedTensors renamed;
  for (const auto& [name, tensor] : weights) renamed[naming.table.to_foreign(name)] = tensor;
  return renamed;
}

}  // namespace previt
