#include "models/weights/tensor_steps.h"

#include <torch/types.h>

#include <map>
#include <utility>
#include <vector>

#include "error.h"
#include "models/weights/rename_table.h"

namespace previt {
namespace {

// The tensor whose rows all of these are, one after another as read_safetensors lays them; else one
// that is made of them.
at::Tensor joined(const std::vector<at::Tensor>& rows) {
  const at::Tensor& first = rows.front();
  int64_t offset = first.storage_offset();
  for (const at::Tensor& part : rows) {
    const bool next = part.dim() > 0 && part.is_contiguous() && part.is_alias_of(first) &&
                      part.scalar_type() == first.scalar_type() && part.storage_offset() == offset;
    if (!next) return torch::cat(rows, 0);
    offset += part.numel();
  }
  std::vector<int64_t> sizes = first.sizes().vec();
  sizes[0] *= static_cast<int64_t>(rows.size());
  return first.as_strided(sizes, first.strides());
}

constexpr const char* kParts[] = {"query.", "key.", "value."};

at::Tensor join_rows(const NamedTensors& block, const std::string& kind, const std::string& place) {
  std::vector<at::Tensor> rows;
  for (const char* part : kParts) {
    const auto it = block.find(part + kind);
    require(it != block.end(), "{}: attention without {}{}", place, part, kind);
    require(it->second.sizes() == block.at("query." + kind).sizes(),
            "{}: query, key and value differ in shape",
            place);
    rows.push_back(it->second);
  }
  return joined(rows);
}

// Takes out the tensors of all attentions whose tails are wanted: "blocks.0.attn." → "query.weight"
// → tensor.
template <class Wanted>
std::map<std::string, NamedTensors> take_attentions(NamedTensors& weights, Wanted wanted) {
  constexpr std::string_view kAttention = ".attn.";
  std::map<std::string, NamedTensors> attentions;
  for (auto it = weights.begin(); it != weights.end();) {
    const size_t at = it->first.find(kAttention);
    const size_t tail = at == std::string::npos ? it->first.size() : at + kAttention.size();
    if (wanted(it->first.substr(tail))) {
      attentions[it->first.substr(0, tail)][it->first.substr(tail)] = it->second;
      it = weights.erase(it);
    } else {
      ++it;
    }
  }
  return attentions;
}

void join_qkv(NamedTensors& weights, const std::string& place) {
  const auto attentions = take_attentions(weights, [](const std::string& tail) {
    return tail.starts_with("query.") || tail.starts_with("key.") || tail.starts_with("value.");
  });
  for (const auto& [prefix, parts] : attentions) {
    weights[prefix + "qkv.weight"] = join_rows(parts, "weight", place);
    if (parts.contains("key.bias")) {
      weights[prefix + "qkv.bias"] = join_rows(parts, "bias", place);
    } else if (parts.contains("query.bias") && parts.contains("value.bias")) {
      weights[prefix + "q_bias"] = parts.at("query.bias");
      weights[prefix + "v_bias"] = parts.at("value.bias");
    }
  }
}

void part_qkv(NamedTensors& weights) {
  static const RenameTable kBiases = {{"query.bias", "q_bias"}, {"value.bias", "v_bias"}};
  const auto attentions = take_attentions(weights, [](const std::string& tail) {
    return tail.starts_with("qkv.") || tail == "q_bias" || tail == "v_bias";
  });
  for (const auto& [prefix, tensors] : attentions) {
    for (const auto& [tail, tensor] : tensors) {
      if (!tail.starts_with("qkv.")) {
        weights[prefix + kBiases.to_foreign(tail)] = tensor;
        continue;
      }
      const auto rows = tensor.chunk(3, 0);
      for (size_t i = 0; i < 3; ++i) weights[prefix + kParts[i] + tail.substr(4)] = rows.at(i);
    }
  }
}

const RenameTable kPacked = {{"blocks.#.mlp.fc1.*", "blocks.#.mlp.w12.*"},
                             {"blocks.#.mlp.fc2.*", "blocks.#.mlp.w3.*"}};

void unpack_swiglu(NamedTensors& weights, const std::string& /*place*/) {
  const auto fc1 = weights.find("blocks.0.mlp.fc1.weight");
  const auto fc2 = weights.find("blocks.0.mlp.fc2.weight");
  if (fc1 == weights.end() || fc2 == weights.end() || fc2->second.dim() != 2 ||
      fc1->second.dim() != 2 || fc1->second.size(0) != 2 * fc2->second.size(1)) {
    return;
  }
  NamedTensors renamed;
  for (const auto& [name, tensor] : weights) renamed[kPacked.to_own(name)] = tensor;
  weights = std::move(renamed);
}

void pack_swiglu(NamedTensors& weights) {
  NamedTensors renamed;
  for (const auto& [name, tensor] : weights) renamed[kPacked.to_foreign(name)] = tensor;
  weights = std::move(renamed);
}

bool all_digits(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// "blocks.2.17.norm1.weight" → "blocks.17.norm1.weight".
std::string without_chunk(const std::string& name) {
  if (!name.starts_with("blocks.")) return name;
  const size_t first = name.find('.', 7);
  const size_t second = first == std::string::npos ? first : name.find('.', first + 1);
  if (second == std::string::npos || !all_digits(name.substr(first + 1, second - first - 1))) {
    return name;
  }
  return "blocks." + name.substr(first + 1);
}

void count_through(NamedTensors& weights, const std::string& /*place*/) {
  NamedTensors renamed;
  for (const auto& [name, tensor] : weights) renamed[without_chunk(name)] = tensor;
  weights = std::move(renamed);
}

}  // namespace

TensorStep split_qkv() { return {.to_own = join_qkv, .to_foreign = part_qkv}; }

TensorStep chunked_blocks() {
  return {.to_own = count_through, .to_foreign = [](NamedTensors&) {}};
}

TensorStep packed_swiglu() { return {.to_own = unpack_swiglu, .to_foreign = pack_swiglu}; }

}  // namespace previt
