#include <torch/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "files.h"
#include "fuzz/mutate.h"
#include "json_options.h"
#include "models/checkpoint.h"
#include "models/load_model.h"
#include "models/naming.h"
#include "models/pth.h"
#include "pretrain/run_options.h"
#include "recipe.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "support/zip_writer.h"

namespace previt {
namespace {
namespace fs = std::filesystem;

const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";

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

}  // namespace

TEST_CASE("damaged safetensors are refused", "[fuzz]") {
  const TempFolder folder;
  const std::string path = folder.path() + "/a.safetensors";
  write_safetensors(path,
                    {{"a", torch::ones({2, 3})},
                     {"b", torch::ones({5}, torch::kBool)},
                     {"c", torch::empty({0, 4})}},
                    {{"key", "value"}});
  const std::string valid = read_whole_file(path);
  CHECK(survive(valid, 5000, [](const std::string& bytes) {
          touch(parse_safetensors(bytes, "x").tensors);
        }) > 2000);
}

TEST_CASE("damaged zip archives of torch.save are refused", "[fuzz]") {
  const std::string valid = read_whole_file(kFixtures + "pth_types_a.pth");
  CHECK(survive(valid, 3000, [](const std::string& bytes) { use(parse_pth(bytes, "x")); }) > 1000);
}

TEST_CASE("damaged files of torch.save before 1.6 are refused", "[fuzz]") {
  const std::string valid = read_whole_file(kFixtures + "pth_legacy_a.pth");
  CHECK(survive(valid, 3000, [](const std::string& bytes) { use(parse_pth(bytes, "x")); }) > 1000);
}

TEST_CASE("damaged pickles in archives with right checksums are refused", "[fuzz]") {
  const std::string archive = read_whole_file(kFixtures + "pth_types_a.pth");
  std::vector<std::pair<std::string, std::string>> files;
  size_t pickle = 0;
  for (const auto& [name, entry] : read_zip_directory(archive.data(), archive.size(), "x")) {
    if (name.ends_with("data.pkl")) pickle = files.size();
    files.emplace_back(name, archive.substr(entry.offset, entry.size));
  }
  const std::string valid = files[pickle].second;
  const int refused = survive(valid, 3000, [&](const std::string& bytes) {
    files[pickle].second = bytes;
    use(parse_pth(write_zip(files), "x"));
  });
  CHECK(refused > 1000);
}

TEST_CASE("damaged names and shapes of weights are refused", "[fuzz]") {
  // Only the header of the file; its zeros follow, as many as a header asks for or not.
  const TempFolder folder;
  const std::string path = folder.path() + "/a.safetensors";
  NamedTensors weights = {{"patch_embed.proj.weight", torch::zeros({8, 3, 2, 2})},
                          {"patch_embed.proj.bias", torch::zeros({8})},
                          {"pos_embed", torch::zeros({1, 5, 8})},
                          {"cls_token", torch::zeros({1, 1, 8})},
                          {"head.weight", torch::zeros({2, 8})},
                          {"blocks.0.norm1.weight", torch::zeros({8})},
                          {"blocks.0.mlp.fc1.weight", torch::zeros({16, 8})},
                          {"blocks.0.attn.relative_position_bias_table", torch::zeros({12, 2})}};
  write_safetensors(path, weights);
  const std::string bytes = read_whole_file(path);
  const size_t header = bytes.find("}}") + 2;
  survive(bytes.substr(8, header - 8), 4000, [&](std::string damaged) {
    damaged.resize(std::max(damaged.size(), header), ' ');
    const NamedWeights named = rename_weights(
        parse_safetensors(little_endian(damaged.size(), 8) + damaged + bytes.substr(header), "x")
            .tensors,
        "x");
    resolve(infer_options(named.backbone, {}, "x"));
  });
}

TEST_CASE("damaged config.json files are refused", "[fuzz]") {
  const TempFolder folder;
  const std::string source = kFixtures + GENERATE(as<std::string>(), "hf_beit_a", "timm_hub_a");
  fs::copy(source + "/model.safetensors", folder.path() + "/model.safetensors");
  survive(read_whole_file(source + "/config.json"), 300, [&](const std::string& text) {
    write_whole_file(folder.path() + "/config.json", text);
    load_model(folder.path());
  });
}

TEST_CASE("damaged options in JSON are refused", "[fuzz]") {
  const std::string valid = options_to_json(RunOptions()).dump();
  CHECK(survive(valid, 4000, [](const std::string& text) {
          const auto json = nlohmann::json::parse(text, nullptr, false);
          const auto options = options_from_json<RunOptions>(json, "x");
          resolve(options.model);
        }) > 1500);
}

TEST_CASE("damaged recipes are refused", "[fuzz]") {
  RecipeWriter writer;
  RunOptions defaults;
  visit(writer, defaults);
  survive(writer.text(), 1500, [](const std::string& text) {
    Recipe recipe = Recipe::parse(text, "x.yaml");
    RunOptions options;
    recipe.read(options);
    recipe.require_all_read();
  });
}

TEST_CASE("damaged checkpoints are refused", "[fuzz]") {
  const TempFolder run;
  save_checkpoint(run.path(),
                  1,
                  {.backbone = {{"a", torch::ones({3})}},
                   .training = {{"b", torch::ones({4})}},
                   .backbone_metadata = {},
                   .meta = {{"epoch", 1.5}}});
  const std::string folder = list_checkpoints(run.path()).front();
  const Checkpoint saved = load_checkpoint(folder);
  for (const char* name : {"/backbone.safetensors", "/training.safetensors", "/meta.json"}) {
    const std::string path = folder + name;
    const std::string valid = read_whole_file(path);
    survive(valid, 100, [&](const std::string& bytes) {
      write_whole_file(path, bytes);
      const auto meta = load_checkpoint(folder).meta;
      CHECK(meta == saved.meta);  // what is not refused is unharmed
    });
    write_whole_file(path, valid);
  }
}

}  // namespace previt
