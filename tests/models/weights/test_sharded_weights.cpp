#include <torch/types.h>

#include <filesystem>

#include "error.h"
#include "files.h"
#include "fuzz/mutate.h"
#include "models/weights/load_model.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "support/torch_save.h"

namespace previt {
namespace {
namespace fs = std::filesystem;

const std::string kSource = PREVIT_SOURCE_DIR "/tests/fixtures/hf_vit_a";
const std::string kFirst = "model-00001-of-00002", kSecond = "model-00002-of-00002";

// A Hugging Face folder whose weights lie in two parts.
class Sharded {
 public:
  explicit Sharded(bool pickled = false)
      : ending(pickled ? ".bin" : ".safetensors"),
        index(folder.path() + (pickled ? "/pytorch_model.bin" : "/model.safetensors") +
              ".index.json") {
    fs::copy(kSource + "/config.json", folder.path() + "/config.json");
    NamedTensors parts[2];
    nlohmann::json map;
    for (const auto& [name, tensor] : read_safetensors(kSource + "/model.safetensors").tensors) {
      const bool second = name > "encoder.layer.1";
      parts[second ? 1 : 0][name] = tensor;
      map[name] = (second ? kSecond : kFirst) + ending;
    }
    for (int i = 0; i < 2; ++i) {
      const std::string path = file(i == 0 ? kFirst : kSecond);
      if (pickled) {
        write_whole_file(path, test::torch_save({{"", parts[i]}}));
      } else {
        write_safetensors(path, parts[i]);
      }
    }
    write_index(map);
  }

  std::string file(const std::string& name) const { return folder.path() + "/" + name + ending; }
  void write_index(const nlohmann::json& map) const {
    write_whole_file(index, nlohmann::json({{"metadata", {}}, {"weight_map", map}}).dump());
  }
  nlohmann::json map() const { return nlohmann::json::parse(read_whole_file(index))["weight_map"]; }
  LoadedModel load() const { return load_model(folder.path()); }

  const TempFolder folder;
  const std::string ending, index;
};

void check_same(const LoadedModel& got, const LoadedModel& want) {
  REQUIRE(got.weights.size() == want.weights.size());
  for (const auto& [name, tensor] : want.weights) {
    INFO(name);
    CHECK(torch::equal(got.weights.at(name), tensor));
  }
  CHECK(got.options.num_heads == want.options.num_heads);
  CHECK(got.options.norm_eps == want.options.norm_eps);
}

}  // namespace

TEST_CASE("weights in parts are read by their index") {
  const Sharded parts(GENERATE(false, true));
  check_same(parts.load(), load_model(kSource));
}

TEST_CASE("a Hugging Face folder may hold pytorch_model.bin alone") {
  const TempFolder folder;
  write_whole_file(
      folder.path() + "/pytorch_model.bin",
      test::torch_save({{"", read_safetensors(kSource + "/model.safetensors").tensors}}));
  CHECK(load_model(folder.path()).weights.size() == load_model(kSource).weights.size());
  fs::copy(kSource + "/config.json", folder.path() + "/config.json");
  check_same(load_model(folder.path()), load_model(kSource));
  fs::remove(folder.path() + "/pytorch_model.bin");
  CHECK_THROWS_WITH(load_model(folder.path()), ContainsSubstring("no index of their parts"));
}

TEST_CASE("an index that can't be followed says why") {
  const Sharded parts;
  const auto refuse = [&](const std::string& why) { CHECK_THROWS_WITH(parts.load(), why); };
  nlohmann::json map = parts.map();
  const std::string name = "layernorm.bias";
  SECTION("a part is missing") {
    fs::remove(parts.file(kSecond));
    refuse(parts.file(kSecond) + ": missing, but " + parts.index + " names it");
  }
  SECTION("a tensor is missing in its part") {
    map[name] = kFirst + parts.ending;
    parts.write_index(map);
    refuse(parts.file(kFirst) + ": has no " + name + ", which " + parts.index + " names");
  }
  SECTION("a part lies elsewhere") {
    for (const char* path : {"/etc/passwd", "../a.safetensors", "a/../../b", ""}) {
      map[name] = path;
      parts.write_index(map);
      CHECK_THROWS_WITH(parts.load(), ContainsSubstring("lies outside its folder"));
    }
  }
  SECTION("a part has no name") {
    map[name] = 3;
    parts.write_index(map);
    refuse(parts.index + ": " + name + ": not the name of a file");
  }
  SECTION("the index is none") {
    for (const char* text : {"{", "[]", "{}", R"({"weight_map": []})", R"({"weight_map": {}})"}) {
      write_whole_file(parts.index, text);
      refuse(parts.index + ": not an index of weights (no weight_map)");
    }
    write_whole_file(parts.index, "");
    refuse(parts.index + ": is empty");
  }
  SECTION("a part is a folder") {
    fs::remove(parts.file(kSecond));
    fs::create_directory(parts.file(kSecond));
    CHECK_THROWS_WITH(parts.load(), ContainsSubstring("missing, but"));
  }
}

TEST_CASE("damaged indexes and parts of weights are refused", "[fuzz]") {
  const Sharded parts(GENERATE(false, true));
  for (const std::string& path : {parts.index, parts.file(kFirst)}) {
    const std::string valid = read_whole_file(path);
    const int refused = survive(valid, 300, [&](const std::string& bytes) {
      write_whole_file(path, bytes);
      parts.load();
    });
    CHECK(refused > 30);
    write_whole_file(path, valid);
  }
}

}  // namespace previt
