#include "models/weights/foreign_model.h"

#include <algorithm>

namespace previt {
namespace {

// The dotted start that all names share, "module.model.".
std::string shared_prefix(const NamedTensors& weights) {
  const std::string& first = weights.begin()->first;
  const std::string& last = weights.rbegin()->first;  // sorted: all others lie between
  const auto differ = std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
  const size_t dot = std::string(first.begin(), differ).rfind('.');
  return dot == std::string::npos ? "" : first.substr(0, dot + 1);
}

}  // namespace

const at::Tensor* ForeignModel::find(const std::string& name) const {
  for (const NamedTensors* tensors : {&network, &beside}) {
    if (const auto it = tensors->find(name); it != tensors->end()) return &it->second;
  }
  return nullptr;
}

NamedTensors ForeignModel::state_dict() const {
  NamedTensors all = beside;
  for (const auto& [name, tensor] : network) all[prefix + name] = tensor;
  return all;
}

ForeignModel take_network(const NamedTensors& weights, const Network& network) {
  ForeignModel taken;
  taken.key = network.key;
  taken.prefix = network.prefix;
  const auto prefixes = network_prefixes(weights);
  const std::string outer = shared_prefix(weights);
  for (const auto& [name, tensor] : weights) {
    if (name.starts_with(network.prefix)) {
      taken.network[name.substr(network.prefix.size())] = tensor;
      continue;
    }
    const bool of_another = std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& other) {
      return other != network.prefix && name.starts_with(other);
    });
    if (!of_another) taken.beside[name.substr(outer.size())] = tensor;
  }
  return taken;
}

}  // namespace previt
