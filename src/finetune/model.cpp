#include "finetune/model.h"

#include <set>
#include <string>

#include "error.h"
#include "json_options.h"
#include "models/weights.h"

namespace previt {
namespace {

// What may differ between the weights and the model that they start.
const std::set<std::string> kFree = {"arch",
                                     "image_size",
                                     "pos_embed",
                                     "pos_resize",
                                     "rel_pos_bias",
                                     "drop_path",
                                     "drop_path_mode",
                                     "norm_eps",
                                     "pool",
                                     "num_classes"};

bool starts_with_any(const std::string& name, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const char* prefix) {
    return name.rfind(prefix, 0) == 0;
  });
}

// Tensors that a model with another pooling or a new head does not take over.
NamedTensors without_unused(NamedTensors weights, const VitOptions& options, bool keep_head) {
  std::erase_if(weights, [&](const auto& entry) {
    const std::string& name = entry.first;
    return starts_with_any(name, {options.pool == "avg" ? "norm." : "fc_norm."}) ||
           (!keep_head && starts_with_any(name, {"head."})) ||
           (options.pos_embed == "none" && name == "pos_embed");
  });
  return weights;
}

}  // namespace

void require_same_architecture(const VitOptions& wanted, const LoadedModel& loaded) {
  const auto want = options_to_json(resolve(wanted));
  const auto have = options_to_json(loaded.options);
  for (const auto& [key, value] : want.items()) {
    if (kFree.contains(key) || have.at(key) == value || (key == "num_heads" && have.at(key) == 0))
      continue;
    fail_usage(
        "model.{}: {}, but {} has {}", key, value.dump(), loaded.source, have.at(key).dump());
  }
}

std::shared_ptr<Vit> vit_from_checkpoint(const LoadedModel& loaded,
                                         const VitOptions& options,
                                         HeadChoice head) {
  auto vit = std::make_shared<Vit>(options);
  if (!head.keep) vit->set_num_classes(options.num_classes, head.new_std);
  const VitOptions& old = loaded.options;
  const NamedTensors weights = fit_positions(without_unused(loaded.weights, options, head.keep),
                                             vit->options(),
                                             {old.grid_height(), old.grid_width()});
  const LoadReport report = load_into(*vit, weights);
  for (const std::string& name : report.missing) {
    if (starts_with_any(name, {"norm.", "fc_norm."}) ||
        (!head.keep && starts_with_any(name, {"head."}))) {
      continue;
    }
    fail("{}: has no {}", loaded.source, name);
  }
  require(report.unexpected.empty(),
          "{}: {} has no place in this model",
          loaded.source,
          report.unexpected.empty() ? "" : report.unexpected.front());
  return vit;
}

}  // namespace previt
