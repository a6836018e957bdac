#include "pretrain/train/run_state.h"

#include <torch/types.h>

#include <map>

#include "error.h"
#include "models/weights/weights.h"
#include "pretrain/train/resume_check.h"

namespace previt {
namespace {

/// The objective's names → the kept model's, for the tensors that both have.
std::map<std::string, std::string> backbone_names(Objective& objective) {
  std::map<const void*, std::string> by_tensor;
  for (const auto& [name, tensor] : named_tensors(*objective.kept_model().network)) {
    // Tensors are matched by identity, since their names differ.
    by_tensor[tensor.unsafeGetTensorImpl()] = name;
  }
  std::map<std::string, std::string> names;
  for (const auto& [name, tensor] : named_tensors(objective)) {
    const auto found = by_tensor.find(tensor.unsafeGetTensorImpl());
    if (found != by_tensor.end()) names[name] = found->second;
  }
  return names;
}

void add(NamedTensors& into, const std::string& prefix, const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) into[prefix + name] = tensor.detach();
}

NamedTensors with_prefix(const NamedTensors& tensors, const std::string& prefix) {
  NamedTensors found;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = tensor;
  }
  return found;
}

/// Moves the backbone's tensors out of `tensors`, under the backbone's names.
NamedTensors take_backbone(NamedTensors& tensors, const std::map<std::string, std::string>& names) {
  NamedTensors backbone;
  for (const auto& [own, exported] : names) {
    const auto node = tensors.extract(own);
    backbone[exported] = node.mapped().detach();
  }
  return backbone;
}

void put_backbone(NamedTensors& tensors,
                  const NamedTensors& backbone,
                  const std::map<std::string, std::string>& names) {
  for (const auto& [own, exported] : names) {
    const auto saved = backbone.find(exported);
    if (saved != backbone.end()) tensors[own] = saved->second;
  }
}

void load_exactly(torch::nn::Module& module, const NamedTensors& tensors) {
  const LoadReport report = load_into(module, tensors);
  require(report.missing.empty(),
          "{} is missing",
          report.missing.empty() ? "" : report.missing.front());
  require(report.unexpected.empty(),
          "{} belongs to nothing in this model",
          report.unexpected.empty() ? "" : report.unexpected.front());
}

}  // namespace

Checkpoint collect(Objective& objective, Stepper& stepper) {
  const auto names = backbone_names(objective);
  NamedTensors own = named_tensors(objective);
  Checkpoint checkpoint;
  if (stepper.ema() != nullptr) {
    NamedTensors averages = stepper.ema()->tensors();
    checkpoint.backbone = take_backbone(averages, names);
    add(checkpoint.training, kAverageTensors, averages);
  } else {
    checkpoint.backbone = take_backbone(own, names);
  }
  add(checkpoint.training, kObjectiveTensors, own);
  add(checkpoint.training, kOptimizerTensors, stepper.optimizer().state());
  return checkpoint;
}

void restore(const Checkpoint& checkpoint, Objective& objective, Stepper& stepper) {
  const auto names = backbone_names(objective);
  NamedTensors own = with_prefix(checkpoint.training, kObjectiveTensors);
  if (stepper.ema() != nullptr) {
    NamedTensors averages = with_prefix(checkpoint.training, kAverageTensors);
    put_backbone(averages, checkpoint.backbone, names);
    stepper.ema()->load(averages);
  } else {
    put_backbone(own, checkpoint.backbone, names);
  }
  load_exactly(objective, own);
  stepper.optimizer().load_state(with_prefix(checkpoint.training, kOptimizerTensors));
}

void restore_run(const Checkpoint& checkpoint,
                 Objective& objective,
                 Stepper& stepper,
                 RunPosition& position) {
  try {
    keep_matmul_ways(checkpoint.meta);
    restore(checkpoint, objective, stepper);
    position.load(checkpoint.meta);
  } catch (const Error& e) {
    fail("{}: {}", checkpoint.folder, e.what());
  }
}

}  // namespace previt
