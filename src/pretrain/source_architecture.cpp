#include "pretrain/source_architecture.h"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "error.h"
#include "json_options.h"

namespace previt {
namespace {

// Options in which a model may differ from the weights that it starts from. Those of the second row
// add or remove weights.
// clang-format off
const std::set<std::string> kFreeOptions = {
    "arch", "image_size", "pos_resize", "drop_path", "drop_path_mode", "norm_eps", "num_classes",
    "pos_embed", "rel_pos_bias", "register_tokens", "layer_scale", "pool"};
// clang-format on

// As a recipe has it.
std::string word(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

constexpr std::array kSizesOfArch = {"embed_dim", "depth", "num_heads"};

bool is_size_of_arch(const std::string& key) {
  return std::find(kSizesOfArch.begin(), kSizesOfArch.end(), key) != kSizesOfArch.end();
}

// Whether the named size is that of the model: a recipe can change its numbers.
bool says_sizes(const VitOptions& o) {
  if (o.arch == "custom") return false;
  const VitOptions named = resolve({.arch = o.arch});
  return named.embed_dim == o.embed_dim && named.depth == o.depth && named.num_heads == o.num_heads;
}

}  // namespace

void take_architecture(const LoadedModel& source, bool arch_said, RunOptions& run) {
  VitOptions model = source.options;
  model.pos_resize = run.model.pos_resize;
  model.drop_path = run.model.drop_path;
  model.drop_path_mode = run.model.drop_path_mode;
  if (model.cls_token) model.pool = run.model.pool;
  model.num_classes = run.model.num_classes;
  if (arch_said) model.embed_dim = model.depth = model.num_heads = 0;
  run.model = std::move(model);
  run.normalize = source.normalize;
}

void require_source_fits(const VitOptions& model,
                         const LoadedModel& source,
                         const std::function<bool(const std::string& key)>& said) {
  const auto want = options_to_json(model), have = options_to_json(source.options);
  std::set<std::string> wrong;  // keys of the recipe
  std::vector<std::string> differences;
  for (const auto& [key, value] : want.items()) {
    const bool unknown = key == "num_heads" && !source.heads_told;
    if (kFreeOptions.contains(key) || unknown || have.at(key) == value) continue;
    wrong.insert(is_size_of_arch(key) && !said(key) ? "arch" : key);
    differences.push_back(fmt::format("{} {}, not {}", key, have.at(key).dump(), value.dump()));
  }
  if (wrong.empty()) return;
  std::vector<std::string> right;
  const auto set = [&](const std::string& key) {
    right.push_back(fmt::format("model.{}: {}", key, word(have.at(key))));
  };
  for (const std::string& key : wrong) {
    if (key != "arch" || says_sizes(source.options)) {
      set(key);
    } else {
      std::for_each(kSizesOfArch.begin(), kSizesOfArch.end(), set);
    }
  }
  fail_usage("model.{}: {} does not fit {}, which has {}; set {}, or leave out model.{}",
             *wrong.begin(),
             word(want.at(*wrong.begin())),
             source.source,
             fmt::join(differences, "; "),
             fmt::join(right, ", "),
             fmt::join(wrong, ", model."));
}

}  // namespace previt
