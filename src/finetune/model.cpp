#include "finetune/model.h"

#include <torch/types.h>

#include <set>
#include <string>

#include "error.h"
#include "json_options.h"
#include "models/layers/init.h"
#include "models/weights/misfits.h"
#include "models/weights/weights.h"

namespace previt {
namespace {

// Options that may differ between the weights and the model that starts from them.
const std::set<std::string> kFree = {"arch",
                                     "image_size",
                                     "pos_embed",
                                     "pos_resize",
                                     "rel_pos_bias",
                                     "drop_path",
                                     "drop_path_mode",
                                     "dist_token",
                                     "norm_eps",
                                     "pool",
                                     "num_classes"};

// Options by which a model has tensors that others lack: with patterns, these decide.
const std::set<std::string> kOwnTensors = {"layer_scale", "qkv_bias", "register_tokens"};

bool starts_with_any(const std::string& name, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const char* prefix) {
    return name.rfind(prefix, 0) == 0;
  });
}

// layer_scale is the value that its vectors start from, which no weights file tells. So only
// whether there are any is compared.
bool same_start(const std::string& key, const nlohmann::json& want, const nlohmann::json& have) {
  return key == "layer_scale" && (want.get<double>() > 0) == (have.get<double>() > 0);
}

// The weights without those that another pooling or a new head has no use for.
NamedTensors without_unused(NamedTensors weights, const VitOptions& options, bool keep_head) {
  std::erase_if(weights, [&](const auto& entry) {
    const std::string& name = entry.first;
    return starts_with_any(name, {options.pool == Pooling::avg ? "norm." : "fc_norm."}) ||
           (!keep_head && is_classifier(name)) ||
           (!options.dist_token && starts_with_any(name, {"dist_token", "head_dist."})) ||
           (options.pos_embed == PosEmbed::none && name == "pos_embed");
  });
  return weights;
}

// Adds the position of a distillation token that the checkpoint lacks, and drops that of one that
// the model lacks.
void fit_dist_position(NamedTensors& weights, const VitOptions& old, const Vit& vit) {
  const auto table = weights.find("pos_embed");
  const bool has = vit.options().dist_token;
  if (table == weights.end() || !old.pos_embed_cls || has == old.dist_token) return;
  const at::Tensor rows = table->second.to(torch::kFloat), cls = rows.slice(1, 0, 1);
  table->second =
      has ? torch::cat({cls, vit.pos_embed.detach().slice(1, 1, 2), rows.slice(1, 1)}, 1)
          : torch::cat({cls, rows.slice(1, 2)}, 1);
}

// What becomes of the network: it is trained, with a new head or its own, or used as it is.
enum class Use { trained_anew, trained, frozen };

// Weights that may start anew: a norm that the checkpoint's pooling did without, a new head, a
// distillation token that the checkpoint lacks. Nothing is to train them in a frozen network.
bool may_be_new(const std::string& name, Use use) {
  if (use == Use::frozen) return false;
  return starts_with_any(name, {"norm.", "fc_norm.", "dist_token"}) ||
         (use == Use::trained_anew && is_classifier(name));
}

// The checkpoint's weights as `vit` has them.
NamedTensors fitting_weights(const LoadedModel& loaded,
                             const Vit& vit,
                             Use use,
                             const std::string* allow) {
  const VitOptions& old = loaded.options;
  NamedTensors weights =
      without_unused(loaded.weights, vit.options(), /*keep_head=*/use != Use::trained_anew);
  fit_dist_position(weights, old, vit);
  weights = fit_positions(std::move(weights), vit.options(), {old.grid_height(), old.grid_width()});
  Misfits misfits(loaded.source, allow);
  const NamedTensors own = named_tensors(vit);
  for (const auto& [name, tensor] : own) {
    const auto found = weights.find(name);
    if (found == weights.end()) {
      if (!may_be_new(name, use)) misfits.lacks(name);
    } else if (found->second.sizes() != tensor.sizes()) {
      misfits.other_shape(name, found->second.sizes(), tensor.sizes());
      weights.erase(found);
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!own.contains(name)) misfits.left_over(name);
  }
  misfits.require_none();
  misfits.warn_of_idle_patterns();
  return weights;
}

}  // namespace

void require_same_architecture(const VitOptions& wanted,
                               const LoadedModel& loaded,
                               const std::string& allow) {
  const auto want = options_to_json(resolve(wanted));
  const auto have = options_to_json(loaded.options);
  for (const auto& [key, value] : want.items()) {
    const bool unknown = key == "num_heads" && !loaded.heads_told;
    if (kFree.contains(key) || have.at(key) == value || unknown) continue;
    if (!allow.empty() && kOwnTensors.contains(key)) continue;
    if (same_start(key, value, have.at(key))) continue;
    fail_usage(
        "model.{}: {}, but {} has {}", key, value.dump(), loaded.source, have.at(key).dump());
  }
}

void require_heads(const VitOptions& options, const LoadedModel& loaded, const HintWords& words) {
  require(options.num_heads > 0,
          "{}: does not say how many attention heads it has; give {}",
          loaded.source,
          words.heads);
}

std::shared_ptr<Vit> vit_from_checkpoint(const LoadedModel& loaded,
                                         const VitOptions& options,
                                         HeadChoice head,
                                         const std::string* allow) {
  auto vit = std::make_shared<Vit>(options);
  const bool one = head.keep && allow == nullptr && loaded.has_one_head();
  if (!head.keep || one) vit->set_num_classes(options.num_classes, head.new_std, !one);
  const Use use = head.keep ? Use::trained : Use::trained_anew;
  load_into(*vit, fitting_weights(loaded, *vit, use, allow));
  return vit;
}

std::shared_ptr<Vit> frozen_vit(const LoadedModel& loaded, const VitOptions& options) {
  require(!options.dist_token || loaded.options.dist_token,
          "{}: has no distillation token",
          loaded.source);
  const WithoutWeights until_shared;
  auto vit = std::make_shared<Vit>(options);
  if (loaded.has_one_head()) vit->set_num_classes(options.num_classes, 0, /*dist_head=*/false);
  share_into(*vit, fitting_weights(loaded, *vit, Use::frozen, nullptr));
  return vit;
}

void keep_classes(LoadedModel& loaded, const std::vector<int64_t>& classes) {
  const at::Tensor rows = torch::tensor(classes, torch::kInt64);
  for (auto& [name, weights] : loaded.weights) {
    if (is_classifier(name)) weights = weights.index_select(0, rows);
  }
  std::vector<std::string> names;
  for (const int64_t number : classes) {
    const auto at = static_cast<size_t>(number);
    if (at < loaded.class_names.size()) names.push_back(loaded.class_names[at]);
  }
  loaded.class_names = std::move(names);
  loaded.options.num_classes = static_cast<int64_t>(classes.size());
}

}  // namespace previt
