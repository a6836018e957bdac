#include "models/weights/networks.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "error.h"
#include "models/weights/other_networks.h"
#include "models/weights/weight_format.h"

namespace previt {
namespace {

// In order of preference. state_dicts under other keys come after these.
const std::vector<std::string> kKeys = {"teacher", "model", "module", "state_dict", "student"};
const std::vector<std::string> kKinds = {"teacher", "model", "ema", "student"};

template <class Item>
size_t place_in(const std::vector<Item>& list, const Item& item) {
  return static_cast<size_t>(std::find(list.begin(), list.end(), item) - list.begin());
}

// Whether the name has `word` as a word of its own: "ema" in "state_dict_ema", but not in "schema".
bool has_word(const std::string& name, const std::string& word) {
  const auto ends = [&](size_t at) {
    return at >= name.size() || name[at] == '.' || name[at] == '_';
  };
  for (size_t at = name.find(word); at != std::string::npos; at = name.find(word, at + 1)) {
    if ((at == 0 || ends(at - 1)) && ends(at + word.size())) return true;
  }
  return false;
}

std::vector<std::string> prefixes_of(const NamedTensors& weights, const std::string& patch_embed) {
  std::vector<std::string> prefixes;
  for (const auto& [key, tensor] : weights) {
    if (!key.ends_with(patch_embed)) continue;
    const std::string prefix = key.substr(0, key.size() - patch_embed.size());
    // Else only the end of a longer name is the same.
    if (prefix.empty() || prefix.back() == '.') prefixes.push_back(prefix);
  }
  return prefixes;
}

bool is_decoder(const Network& network) {
  return network.name().find("decoder") != std::string::npos;
}

void put_first(std::vector<Network>& networks,
               const std::string& wanted,
               const std::string& place) {
  const auto found = std::find_if(networks.begin(), networks.end(), [&](const Network& network) {
    return wanted == network.kind() || wanted == network.key || wanted == network.name();
  });
  if (found == networks.end()) {
    std::set<std::string> kinds;
    for (const Network& network : networks) kinds.insert(network.kind());
    fail("{}: has no {} weights, only: {}", place, wanted, fmt::join(kinds, ", "));
  }
  std::rotate(networks.begin(), found, found + 1);
}

std::string why_none(const StateDicts& dicts) {
  NamedTensors all;
  for (const auto& [key, weights] : dicts) all.insert(weights.begin(), weights.end());
  return why_not_read(all, fmt::format("holds no Vision Transformer (no {})", kPatchEmbed));
}

}  // namespace

std::string Network::name() const {
  std::string path = key + (key.empty() ? "" : ".") + prefix;
  if (path.ends_with('.')) path.pop_back();
  return path;
}

std::string Network::kind() const {
  const std::string path = name();
  if (path.find("teacher") != std::string::npos) return "teacher";
  if (path.find("student") != std::string::npos) return "student";
  return has_word(path, "ema") ? "ema" : "model";
}

std::vector<std::string> network_prefixes(const NamedTensors& weights) {
  for (const auto& format : weight_formats()) {
    auto prefixes = prefixes_of(weights, format->patch_embed());
    if (!prefixes.empty()) return prefixes;
  }
  return {};
}

std::vector<Network> networks_in(const StateDicts& dicts,
                                 const std::string& place,
                                 const std::string& wanted) {
  std::vector<Network> networks;
  for (const auto& [key, weights] : dicts) {
    for (std::string& prefix : network_prefixes(weights)) {
      networks.push_back({key, std::move(prefix)});
    }
  }
  if (networks.empty()) fail("{}: {}", place, why_none(dicts));
  const auto rank = [](const Network& network) {
    return std::make_tuple(is_decoder(network),
                           place_in(kKinds, network.kind()),
                           place_in(kKeys, network.key),
                           network.prefix.size());
  };
  std::stable_sort(networks.begin(), networks.end(), [&](const auto& a, const auto& b) {
    return rank(a) < rank(b);
  });
  if (!wanted.empty()) put_first(networks, wanted, place);
  return networks;
}

NamedTensors without_wrappers(const NamedTensors& weights) {
  NamedTensors plain;
  for (const auto& [key, tensor] : weights) {
    std::string name = key;
    for (const std::string wrapper :
         {"_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."}) {
      for (size_t at = name.find(wrapper); at != std::string::npos; at = name.find(wrapper)) {
        name.erase(at, wrapper.size());
      }
    }
    plain[name] = tensor;
  }
  return plain;
}

}  // namespace previt
