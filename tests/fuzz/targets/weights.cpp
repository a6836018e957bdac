// Weight files, from bytes to a model's options.
#include <torch/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "error.h"
#include "fuzz/target.h"
#include "models/tokenizers/tokenizer.h"
#include "models/weights/infer_options.h"
#include "models/weights/load_model.h"
#include "models/weights/pth.h"
#include "models/weights/safetensors.h"
#include "models/weights/weight_format.h"
#include "models/weights/zip.h"
#include "support/checkpoint_file.h"
#include "support/tokenizer_file.h"
#include "support/zip_writer.h"

namespace previt::fuzz {
namespace {

// Reads every byte, so that a sanitizer sees a view that reaches outside its memory.
void touch(const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (tensor.numel() < (1 << 16)) tensor.contiguous().clone();
  }
}

void use(const PthFile& file) {
  pickle_to_json(*file.root);
  for (const PickleValue& value : file.values) touch(tensors_in(value));
}

std::string file_of(const NamedTensors& tensors,
                    const std::map<std::string, std::string>& metadata = {}) {
  const std::string path = scratch() + "seed.safetensors";
  write_safetensors(path, tensors, metadata);
  return read_whole_file(path);
}

/// A file cut in two: only the header is damaged, its bytes follow as they are.
struct Cut {
  explicit Cut(const std::string& file) {
    const size_t size = 8 + static_cast<size_t>(static_cast<unsigned char>(file[0])) +
                        256 * static_cast<size_t>(static_cast<unsigned char>(file[1]));
    header = file.substr(8, size - 8);
    data = file.substr(size);
  }
  std::string with(const std::string& damaged) const {
    return little_endian(damaged.size(), 8) + damaged + data;
  }
  std::string header, data;
};

const Cut& named_weights() {
  static const Cut cut(
      file_of({{"patch_embed.proj.weight", torch::zeros({8, 3, 2, 2})},
               {"patch_embed.proj.bias", torch::zeros({8})},
               {"pos_embed", torch::zeros({1, 5, 8})},
               {"cls_token", torch::zeros({1, 1, 8})},
               {"head.weight", torch::zeros({2, 8})},
               {"blocks.0.norm1.weight", torch::zeros({8})},
               {"blocks.0.mlp.fc1.weight", torch::zeros({16, 8})},
               {"blocks.0.attn.qkv.weight", torch::zeros({24, 8})},
               {"blocks.0.attn.relative_position_bias_table", torch::zeros({12, 2})}}));
  return cut;
}

const Cut& own_model() {
  static const Cut cut(read_whole_file(test::tiny_checkpoint(scratch())));
  return cut;
}

const Cut& own_tokenizer() {
  static const Cut cut(read_whole_file(test::write_tiny_tokenizer(scratch(), 8, 8, 4, 4)));
  return cut;
}

/// The pickle of an archive, damaged, in an archive with right checksums.
struct Archive {
  explicit Archive(const std::string& name) {
    const std::string bytes = read_whole_file(kFixtures + name);
    for (const auto& [path, entry] : read_zip_directory(bytes.data(), bytes.size(), "x")) {
      if (path.ends_with("data.pkl")) pickle = files.size();
      files.emplace_back(path, bytes.substr(entry.offset, entry.size));
    }
  }
  std::string with(const std::string& damaged) const {
    auto changed = files;
    changed[pickle].second = damaged;
    return write_zip(changed);
  }
  const std::string& valid() const { return files[pickle].second; }

  std::vector<std::pair<std::string, std::string>> files;
  size_t pickle = 0;
};

const Archive& types() {
  static const Archive archive("pth_types_a.pth");
  return archive;
}
const Archive& training_checkpoint() {
  static const Archive archive("deit_distilled_checkpoint_a.pth");
  return archive;
}

const bool added[] = {
    add({.name = "safetensors",
         .seeds =
             [] {
               return std::vector{file_of({{"a", torch::ones({2, 3})},
                                           {"b", torch::ones({5}, torch::kBool)},
                                           {"c", torch::empty({0, 4})},
                                           {"d.key.w", torch::ones({2, 3})},
                                           {"d.query.w", torch::ones({2, 3})},
                                           {"d.value.w", torch::ones({2, 3})}},
                                          {{"key", "value"}})};
             },
         .parse = [](const std::string& bytes) { touch(parse_safetensors(bytes, "x").tensors); },
         .inputs = 5000}),
    add({.name = "pth_zip",
         .seeds = [] { return fixtures({"pth_types_a.pth"}); },
         .parse = [](const std::string& bytes) { use(parse_pth(bytes, "x")); }}),
    add({.name = "pth_legacy",
         .seeds = [] { return fixtures({"pth_legacy_a.pth"}); },
         .parse = [](const std::string& bytes) { use(parse_pth(bytes, "x")); }}),
    add({.name = "pth_pickle",
         .seeds = [] { return std::vector{types().valid()}; },
         .parse = [](const std::string& bytes) { use(parse_pth(types().with(bytes), "x")); }}),
    add({.name = "pth_training_checkpoint",
         .seeds = [] { return std::vector{training_checkpoint().valid()}; },
         .parse =
             [](const std::string& bytes) {
               load_model(put(scratch() + "a.pth", training_checkpoint().with(bytes)));
             },
         .inputs = 300}),
    add({.name = "weight_names",
         .seeds = [] { return std::vector{named_weights().header}; },
         .parse =
             [](const std::string& bytes) {
               const NamedTensors weights =
                   parse_safetensors(named_weights().with(bytes), "x").tensors;
               const ForeignModel model =
                   take_network(weights, networks_in({{"", weights}}, "x").front());
               const NamedWeights named = format_of(model).named(model);
               resolve(infer_options(named.backbone, {}, "x"));
             }}),
    add({.name = "model_header",
         .seeds = [] { return std::vector{own_model().header}; },
         .parse =
             [](const std::string& bytes) {
               load_model(put(scratch() + "a.safetensors", own_model().with(bytes)));
             },
         .inputs = 2000}),
    add({.name = "tokenizer_header",
         .seeds = [] { return std::vector{own_tokenizer().header}; },
         .parse =
             [](const std::string& bytes) {
               load_tokenizer(put(scratch() + "t.safetensors", own_tokenizer().with(bytes)));
             },
         .inputs = 500}),
};

}  // namespace
}  // namespace previt::fuzz
