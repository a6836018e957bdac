#include "finetune/probes/linear_head.h"
#include "parity/parity.h"
#include "pretrain/param_rules.h"
#include "pretrain/train/optimizer.h"

namespace previt::parity {
namespace {

std::unique_ptr<Optimizer> lars(const Fixture& fixture, std::vector<TrainedParameter> parameters) {
  OptimizerOptions options;
  options.name = OptimizerKind::lars;
  options.momentum = fixture.number("momentum");
  options.trust_coefficient = fixture.number("trust_coefficient", options.trust_coefficient);
  return make_optimizer(options, std::move(parameters));
}

/// The head's tensors by the names of the official Sequential(BatchNorm1d, Linear).
NamedTensors official_tensors(const LinearHead& head) {
  return {{"0.running_mean", head->running_mean},
          {"0.running_var", head->running_var},
          {"0.num_batches_tracked", head->num_batches_tracked},
          {"1.weight", head->weight.detach()},
          {"1.bias", head->bias.detach()}};
}

/// Rate scales and weight decays that rules give to `names`, with shapes that only matter by their
/// number of dimensions.
void check_rules(const Fixture& fixture,
                 const ParamRules& rules,
                 const std::string& prefix,
                 const std::string& names_key,
                 Check& check) {
  const double weight_decay = fixture.number("weight_decay");
  std::vector<double> scales, decays;
  for (const std::string name : fixture.config.at(names_key)) {
    // Names that end so are vectors in a ViT; tokens, tables and weights have more dimensions.
    const bool vector = name.ends_with("bias") || name.find("norm") != std::string::npos ||
                        name.find("gamma") != std::string::npos;
    const ParamRule rule =
        rules(name, torch::zeros(vector ? at::IntArrayRef{1} : at::IntArrayRef{1, 1}));
    scales.push_back(rule.lr_scale);
    decays.push_back(rule.decay ? weight_decay : 0);
  }
  const std::string scale_key = "output." + prefix + "lr_scale";
  const std::string decay_key = "output." + prefix + "weight_decay";
  check.t4(scale_key, torch::tensor(scales, torch::kFloat64), fixture.at(scale_key));
  check.t4(decay_key, torch::tensor(decays, torch::kFloat64), fixture.at(decay_key));
}

void check_layer_ids(const Fixture& fixture,
                     const std::string& key,
                     const std::string& names_key,
                     Check& check) {
  std::vector<int64_t> ids;
  for (const std::string name : fixture.config.at(names_key)) {
    ids.push_back(vit_layer_id(name, fixture.integer("depth")));
  }
  check.exact(key, torch::tensor(ids), fixture.at(key));
}

}  // namespace

PARITY_CASE(dino_lars) {
  std::vector<TrainedParameter> parameters;
  for (const auto& [name, weight] : fixture.group("weight.")) {
    const at::Tensor parameter = weight.to(device()).clone().requires_grad_();
    parameters.push_back({name, parameter, decay_matrices()(name, parameter)});
  }
  const auto optimizer = lars(fixture, parameters);
  for (int64_t step = 0; step < fixture.integer("steps"); ++step) {
    for (auto& parameter : parameters) {
      parameter.tensor.mutable_grad() = fixture.given("input.grad_" + parameter.name)[step].clone();
    }
    optimizer->step(fixture.number("lr"), fixture.number("weight_decay"));
  }
  for (const auto& parameter : parameters) {
    const std::string key = "output.weight." + parameter.name;
    check.t1(key, parameter.tensor.detach(), fixture.at(key));
  }
}

PARITY_CASE(mae_linprobe_lars) {
  LinearHead head(LinearHeadOptions{.width = fixture.integer("dim"),
                                    .classes = fixture.integer("num_classes"),
                                    .batch_norm = true});
  for (auto& [name, tensor] : official_tensors(head)) {
    at::Tensor(tensor).copy_(fixture.at("weight." + name));
  }
  head->to(device());
  const auto optimizer = lars(fixture, trained_parameters(*head, decay_matrices()));
  std::vector<at::Tensor> losses, logits;
  for (int64_t step = 0; step < fixture.integer("steps"); ++step) {
    logits.push_back(head->forward(fixture.given("input.features")[step]));
    losses.push_back(torch::cross_entropy_loss(logits.back(), fixture.given("input.target")[step]));
    optimizer->zero_grad();
    losses.back().backward();
    optimizer->step(fixture.number("lr"), fixture.number("weight_decay"));
  }
  check.t1("output.logits", torch::stack(logits).detach(), fixture.at("output.logits"));
  check.t1("output.losses", torch::stack(losses).detach(), fixture.at("output.losses"));
  for (const auto& [name, tensor] : official_tensors(head)) {
    check.t1("output.weight." + name, tensor, fixture.at("output.weight." + name));
  }
  head->eval();
  check.t1("output.eval_logits_after",
           head->forward(fixture.given("input.features")[0]).detach(),
           fixture.at("output.eval_logits_after"));
}

PARITY_CASE(mae_layer_decay) {
  const ParamRules rules = with_layer_decay(decay_matrices_except({"pos_embed", "cls_token"}),
                                            fixture.number("layer_decay"),
                                            fixture.integer("depth"));
  check_rules(fixture, rules, "", "names", check);
  check_layer_ids(fixture, "output.layer_id", "names", check);
}

PARITY_CASE(beit_layer_decay) {
  const ParamRules plain = decay_matrices_except({"pos_embed", "cls_token"});
  const ParamRules rules =
      with_layer_decay(plain, fixture.number("layer_decay"), fixture.integer("depth"));
  check_rules(fixture, rules, "finetune_", "names_finetune", check);
  check_layer_ids(fixture, "output.finetune_layer_id", "names_finetune", check);
  check_rules(fixture, plain, "pretrain_", "names_pretrain", check);
}

}  // namespace previt::parity
