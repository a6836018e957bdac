#include "pretrain/param_rules.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace previt {

ParamRules decay_all() {
  return [](const std::string&, const at::Tensor&) { return ParamRule{}; };
}

ParamRules decay_matrices() { return decay_matrices_except({}); }

ParamRules decay_matrices_except(std::vector<std::string> names) {
  return [names = std::move(names)](const std::string& name, const at::Tensor& parameter) {
    const bool exempt = parameter.dim() <= 1 || name.ends_with(".bias") ||
                        std::find(names.begin(), names.end(), name) != names.end();
    return ParamRule{.decay = !exempt};
  };
}

int64_t vit_layer_id(const std::string& name, int64_t depth) {
  static const std::vector<std::string> inputs = {
      "cls_token", "dist_token", "mask_token", "pos_embed", "reg_token", "patch_embed."};
  for (const auto& input : inputs) {
    if (name.starts_with(input)) return 0;
  }
  const std::string blocks = "blocks.";
  return name.starts_with(blocks) ? std::stoll(name.substr(blocks.size())) + 1 : depth + 1;
}

ParamRules with_layer_decay(ParamRules rules, double decay, int64_t depth) {
  return [=](const std::string& name, const at::Tensor& parameter) {
    ParamRule rule = rules(name, parameter);
    rule.lr_scale *= std::pow(decay, static_cast<double>(depth + 1 - vit_layer_id(name, depth)));
    return rule;
  };
}

}  // namespace previt
